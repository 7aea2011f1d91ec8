"""Pictures and masks from bytes, and pictures to bytes. docs/pictures.md says what is kept."""

from inpaint.codecs.decoding import PICTURE_BYTES, decode, decode_grey, decode_mask
from inpaint.codecs.encoding import can_hold_alpha, encode
from inpaint.codecs.glancing import SHOWN_BY_BROWSERS, glance_size
from inpaint.codecs.headers import read_header, read_metadata, read_size
from inpaint.codecs.picture import Format, Header, Limits, Metadata, Picture

__all__ = [
    "PICTURE_BYTES",
    "SHOWN_BY_BROWSERS",
    "Format",
    "Header",
    "Limits",
    "Metadata",
    "Picture",
    "can_hold_alpha",
    "decode",
    "decode_grey",
    "decode_mask",
    "encode",
    "glance_size",
    "read_header",
    "read_metadata",
    "read_size",
]
