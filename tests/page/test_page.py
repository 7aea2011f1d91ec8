"""The page as a whole: languages, themes, phones, screen readers, many pictures at once."""

import zipfile

import pytest
from axe_playwright_python.sync_playwright import Axe
from skimage import data

from inpaint.diffusion import DiffusionOptions
from inpaint.params import DiffusionParams, EraseParams
from inpaint.plans import StrategyOptions
from serve_app.orders import InpaintFields, RemoveTextFields
from tests.conftest import png

PHOTO = data.coffee()
TIMES = "\N{MULTIPLICATION SIGN}"
PHONE = {"viewport": {"width": 390, "height": 780}, "is_mobile": True, "has_touch": True}


def serious(page):
    """What axe holds against the page, without what it calls moderate or minor."""
    found = Axe().run(page).response["violations"]
    return [
        (entry["id"], [node["html"][:120] for node in entry["nodes"]])
        for entry in found
        if entry["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_axe_finds_nothing_serious(open_page, theme):
    bench = open_page(color_scheme=theme)
    page = bench.page
    assert serious(page) == []
    bench.shoot(f"empty-{theme}")
    bench.open(png(PHOTO))
    bench.drag("brush", (100, 100), (200, 150))
    bench.run()
    bench.drag("brush", (200, 200), (300, 150))
    assert serious(page) == []
    bench.shoot(f"open-{theme}")
    for opener in ("#model", "#help", "#batch"):
        page.locator(opener).click()
        page.wait_for_selector("dialog[open]")
        assert serious(page) == []
        page.keyboard.press("Escape")
    bench.choose("steps")
    page.locator("#mask-menu-button").click()
    assert serious(page) == []


def test_the_page_speaks_chinese_and_remembers_it(open_page):
    bench = open_page(locale="zh-CN")
    page = bench.page
    assert page.locator("html").get_attribute("lang") == "zh-CN"
    assert page.locator("#pick").inner_text().strip() == "选择图片"
    bench.open(png(PHOTO))
    bench.shoot("chinese")
    page.locator("#language").click()
    page.wait_for_selector("html[lang=en]")
    assert page.locator("#run").inner_text().strip() == "Erase"
    assert page.get_by_role("radio", name="Brush (1)").count() == 1
    page.reload()
    page.wait_for_selector("body[data-ready]")
    assert page.locator("html").get_attribute("lang") == "en"


def test_no_word_is_missing_in_either_language(bench):
    """Every word that stands in the page, and every label that its settings need."""
    needed = bench.page.evaluate(
        """async () => {
          const { FIELDS, TEXT_FIELDS } = await import('/web/js/fields.js');
          const fields = [...FIELDS, ...TEXT_FIELDS];
          const names = fields.flatMap(({ name, group }) => [`field.${name}`, `group.${group}`]);
          const marks = ['data-i18n', 'data-i18n-label', 'data-i18n-region', 'data-i18n-group'];
          const stand = marks.flatMap((mark) =>
            [...document.querySelectorAll(`[${mark}]`)].map((found) => found.getAttribute(mark)));
          return [...names, ...stand];
        }"""
    )
    assert len(needed) > 100
    words = [
        bench.page.request.get(f"{bench.url}/web/locales/{name}.json").json()
        for name in ("en", "zh")
    ]
    assert set(words[0]) == set(words[1])
    assert set(needed) <= set(words[0])


def test_the_settings_are_the_apis(bench):
    """Names, defaults, ranges and choices, against the models that the API reads them with."""
    fields = bench.page.evaluate(
        """async () => {
          const { FIELDS, TEXT_FIELDS } = await import('/web/js/fields.js');
          const plain = (field) => ({ ...field, when: null,
            choices: Array.isArray(field.choices) ? field.choices : null });
          return [...FIELDS, ...TEXT_FIELDS].map(plain);
        }"""
    )
    api = {}
    for model in (
        InpaintFields, RemoveTextFields, EraseParams, DiffusionParams, StrategyOptions,
        DiffusionOptions,
    ):  # fmt: skip
        schema = model.model_json_schema()
        for name, facts in schema["properties"].items():
            variants = [facts, *facts.get("anyOf", ())]
            named = [schema["$defs"][v["$ref"].rpartition("/")[2]] for v in variants if "$ref" in v]
            api[name] = {key: v for part in (*named, *variants) for key, v in part.items()}
    pictures = {"paint_by_example_example_image"}  # a file of the form, in no schema
    for field in fields:
        name = field["name"]
        if name in pictures:
            continue
        facts = api[name]
        default = facts.get("default")
        assert field["start"] == (default if default is not None or field["type"] != "text" else "")
        if field.get("choices"):
            assert sorted(field["choices"]) == sorted(facts["enum"]), name
        if field["type"] == "range":
            assert field["max"] == facts["maximum"], name
            low = facts.get("minimum", facts.get("exclusiveMinimum"))
            assert field["min"] >= low, name
            assert ("exclusiveMinimum" in facts) == (field["min"] > low), name
    sent = {field["name"] for field in fields}
    params = {*EraseParams.model_fields, *DiffusionParams.model_fields}
    options = {*StrategyOptions.model_fields, *DiffusionOptions.model_fields}
    assert params - sent == {"kind", "prompt"}  # the prompt has a place of its own
    assert options - sent == {"geometry"}


def test_a_phone_shows_all_of_it_and_a_finger_marks(open_page):
    bench = open_page(**PHONE)
    page = bench.page
    bench.open(png(PHOTO))
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    page.locator('[data-tool="brush"]').tap()
    page.touchscreen.tap(*bench.at(300, 200))
    page.locator("#run").tap()
    bench.settle()
    page.wait_for_selector(".moment >> nth=1")
    bench.shoot("phone")
    assert serious(page) == []
    page.locator("#panel-toggle").tap()
    page.wait_for_selector("#panel:not([hidden])")
    assert page.locator("#panel").bounding_box()["width"] <= 390


def test_many_pictures_come_back_as_a_zip(bench):
    photos = {
        "a.png": png(PHOTO),
        "b.png": png(PHOTO[::-1].copy()),
        "c.png": png(PHOTO[:200, :300]),
    }
    bench.open(photos["a.png"], "a.png")
    bench.drag("rect", (120, 60), (240, 120))
    mask = bench.mask()
    bench.page.locator("#batch").click()
    bench.page.get_by_text("Erase one mask").click()
    bench.page.get_by_text("Take the mask of the canvas").click()
    with bench.page.expect_file_chooser() as chooser:
        bench.page.get_by_role("button", name="Add pictures").click()
    files = [{"name": n, "mimeType": "image/png", "buffer": b} for n, b in photos.items()]
    chooser.value.set_files(files)
    bench.page.get_by_role("button", name="Start").click()
    bench.page.locator("dialog").get_by_text("3 of 3 are done.").wait_for()
    bench.shoot("batch")
    with bench.page.expect_download() as download:
        bench.page.get_by_role("button", name="Download as zip").click()
    with zipfile.ZipFile(download.value.path()) as made:
        assert made.testzip() is None
        assert made.namelist() == list(photos)
        for name in ("a.png", "b.png"):
            assert made.read(name) == bench.inpaint(photos[name], mask, model="cv2")
        assert made.read("c.png") != photos["c.png"]


def test_a_file_that_is_no_picture_is_refused_in_words(bench):
    with bench.page.expect_file_chooser() as chooser:
        bench.page.locator("#pick").click()
    text = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"no picture"}
    chooser.value.set_files([text])
    bench.page.wait_for_selector(".notice.is-bad")
    assert "cannot show that file" in bench.notice()


def test_a_picture_can_be_pasted_and_the_sample_opened(bench):
    page = bench.page
    page.locator("#sample").click()
    page.wait_for_selector("#board:not([hidden])")
    assert page.locator("#file-name").inner_text() == f"sample.png · 1200 {TIMES} 800"
    page.evaluate(
        """async (numbers) => {
          const data = new DataTransfer();
          data.items.add(new File([new Uint8Array(numbers)], 'pasted.png', { type: 'image/png' }));
          document.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data }));
        }""",
        list(png(PHOTO[:40, :60])),
    )
    page.locator("#file-name", has_text=f"60 {TIMES} 40").wait_for()
    assert bench.download() == ("pasted.png", png(PHOTO[:40, :60]))
