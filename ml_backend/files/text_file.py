"""Text as people save it: UTF-8 and UTF-16 with or without a mark, and Windows' code page 1252."""

from pathlib import Path

from ..errors import UserError

_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_DOCUMENTS = (
    (b"PK\x03\x04", "a word processor's or spreadsheet's document"),
    (b"\xd0\xcf\x11\xe0", "a word processor's or spreadsheet's document"),
    (b"{\\rtf", "a word processor's document (RTF)"),
    (b"%PDF", "a PDF"),
)


def read_text(path: str | Path) -> str:
    """Returns the text of a file, decoded by its mark, as UTF-8, as UTF-16, or as code page 1252.

    Args:
        path: of the file.

    Returns:
        The text without a byte order mark.

    Raises:
        UserError: the file cannot be read, is a word processor's document, or is no text.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}).", "Check the path.") from error
    for start, kind in _DOCUMENTS:
        if data.startswith(start):
            raise UserError(f"{path}: is {kind}, not plain text.", "Save it as plain text (UTF-8).")
    for encoding in _encodings(data):
        try:
            text = data.decode(encoding)
        except UnicodeError:
            continue
        if not any(letter < " " and letter not in "\t\n\r\f\x1a" for letter in text):
            return text
    raise UserError(f"{path}: not a text file.", "Save it as plain text (UTF-8).")


def _encodings(data: bytes) -> list[str]:
    """Returns the encodings to try, in order."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return [encoding]
    zeros = data[:4096].count(0)
    if zeros > len(data[:4096]) / 4:  # Latin letters in UTF-16: every other byte is zero
        return (
            ["utf-16-le", "utf-16-be"] if data[1:4096:2].count(0) >= zeros / 2 else ["utf-16-be", "utf-16-le"]
        )
    return ["utf-8", "cp1252"]
