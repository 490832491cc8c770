"""Which format a file has, by how it begins: those that are read, and others that people send."""

from typing import Final

# Pillow's names. Its other plug-ins are more than forty, some of which start programs.
READ: Final = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
NAMES: Final = "PNG, JPEG, WebP, GIF or BMP"

_HEIF: Final = {b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"}
_OTHERS: Final = (
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"%PDF-", "PDF"),
    (b"%!PS", "PostScript"),
    (b"8BPS", "PSD"),
    (b"\0\0\x01\0", "ICO"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"PK\x03\x04", "ZIP"),
)
_HEAD: Final = 1024


def other_format(blob: bytes) -> str:
    """The name of the format of a file that is not read, "" if it is none of the usual ones."""
    if blob[4:8] == b"ftyp":
        return {b"avif": "AVIF", b"avis": "AVIF"}.get(
            blob[8:12], "HEIC" if blob[8:12] in _HEIF else "MP4"
        )
    head = blob[:_HEAD].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if head.startswith(b"<"):
        return "SVG" if b"<svg" in head else "XML or HTML"
    return next((name for begin, name in _OTHERS if blob.startswith(begin)), "")
