"""Routing: which family serves which model, and who answers when none is named."""

import pytest

from inpaint.catalog import Catalog, CatalogError
from inpaint.errors import FamilyMissingError, UnknownModelError
from inpaint.settings import FamilyArgs
from inpaint.specs import Kind
from inpaint.states import ModelState
from serve_app.routing import Routes, assign
from tests.fakes import fake_spec

CATALOG = Catalog(
    [
        fake_spec("lama", aliases=["someone/lama"]),
        fake_spec("cv2"),
        fake_spec("mat", family="Special"),
    ]
)


def family(deployment, *models):
    return FamilyArgs(deployment=deployment, kind=Kind.ERASE, models=models or None)


def names(assigned):
    return {deployment: [spec.name for spec in specs] for deployment, specs in assigned.items()}


def routes_of(*families, defaults=("lama", "cv2"), here=("lama", "cv2", "mat")):
    """Routes on a machine that has the weights of `here`."""

    def state(spec):
        return ModelState.DOWNLOADED if spec.name in here else ModelState.MISSING

    families = families or (family("Erase"),)
    return Routes(CATALOG, assign(CATALOG, families), defaults, state)


def test_family_serves_the_models_whose_yaml_names_it():
    assert names(assign(CATALOG, [family("Erase"), family("Special")])) == {
        "Erase": ["lama", "cv2"],
        "Special": ["mat"],
    }


@pytest.mark.parametrize("word", ["lama", "someone/lama"])
def test_model_named_explicitly_leaves_its_default_family(word):
    for families in (
        [family("Erase"), family("Hot", word)],
        [family("Hot", word), family("Erase")],
    ):
        assert names(assign(CATALOG, families)) == {"Erase": ["cv2"], "Hot": ["lama"]}


def test_family_may_name_a_model_of_another_family():
    assigned = assign(CATALOG, [family("Erase", "cv2", "mat")])
    assert names(assigned) == {"Erase": ["cv2", "mat"]}


@pytest.mark.parametrize(
    "families",
    [
        [family("A", "lama"), family("B", "cv2", "lama")],
        [family("A", "lama"), family("B", "someone/lama")],
        [family("A", "lama", "lama")],
    ],
)
def test_model_named_twice_is_refused(families):
    with pytest.raises(CatalogError, match=r"named twice by the families: lama\.$"):
        assign(CATALOG, families)


def test_model_that_nobody_knows_is_refused():
    with pytest.raises(UnknownModelError):
        assign(CATALOG, [family("Erase", "nobody")])


@pytest.mark.parametrize(
    "families", [[family("Other")], [family("Special"), family("Split", "mat")]]
)
def test_family_without_models_is_refused(families):
    with pytest.raises(CatalogError, match="has no model"):
        assign(CATALOG, families)


def test_family_of_another_kind_is_refused():
    wrong = FamilyArgs.model_construct(deployment="Erase", kind="diffusion", models=None)
    with pytest.raises(CatalogError, match=r"kind 'diffusion'; these models are not: lama, cv2"):
        assign(CATALOG, [wrong])


@pytest.mark.parametrize("word", ["lama", "someone/lama"])
def test_find_takes_names_and_aliases(word):
    spec, deployment = routes_of(family("Erase"), family("Special")).find(word)
    assert (spec.name, deployment) == ("lama", "Erase")


def test_find_tells_an_unknown_model_from_a_missing_family():
    routes = routes_of(family("Erase"))
    with pytest.raises(UnknownModelError):
        routes.find("nobody")
    with pytest.raises(FamilyMissingError, match="'mat': it belongs to 'Special'"):
        routes.find("mat")


@pytest.mark.parametrize(
    ("here", "expected"),
    [({"lama", "cv2"}, "lama"), ({"cv2"}, "cv2"), ({"lama"}, "lama"), (set(), "cv2")],
)
def test_default_is_the_first_whose_weights_are_here(here, expected):
    routes = routes_of(here=here)
    assert routes.default() == expected
    for nothing in (None, ""):
        assert routes.find_eraser(nothing)[0].name == expected


def test_default_skips_what_no_family_serves():
    assert routes_of(family("Erase", "cv2")).default() == "cv2"
    assert routes_of(defaults=("nobody", "mat", "cv2")).default() == "cv2"


def test_default_may_be_an_alias():
    assert routes_of(defaults=("someone/lama",)).default() == "lama"


def test_default_that_no_family_serves_is_refused():
    with pytest.raises(CatalogError, match=r"None of the default models \(mat, nobody\)"):
        routes_of(defaults=("mat", "nobody"))


def test_served_are_the_models_with_a_family_in_the_catalogs_order():
    assert [(spec.name, deployment) for spec, deployment in routes_of().served] == [
        ("lama", "Erase"),
        ("cv2", "Erase"),
    ]


def test_state_is_loaded_where_a_replica_holds_it():
    routes = routes_of(here={"cv2"})
    lama, cv2 = CATALOG.get("lama"), CATALOG.get("cv2")
    assert routes.state(lama, 0) is ModelState.MISSING
    assert routes.state(cv2, 0) is ModelState.DOWNLOADED
    assert routes.state(lama, 2) is ModelState.LOADED
