"""Transcripts as subtitles and as TextGrids: the words of the part that is used."""

import pytest

from ml_backend.errors import UserError
from ml_backend.files.transcript_file import read_transcript

SRT = """1
00:00:00,200 --> 00:00:01,900
<i>Hello!</i> Maybe you
have a <font color="red">moment</font>?

2
00:00:02,000 --> 00:00:04,500 X1:10 X2:90
{\\an8}- Far above the sea, [music]
- Five big &amp; purple boats.

3
00:01:10,000 --> 00:01:12,000
Wow!
"""
VTT = "WEBVTT\n\nNOTE nothing\n\nintro\n00:00.200 --> 00:01.900 align:start\n<v Ann>Hello!\n"
LONG = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 3.5
tiers? <exists>
size = 3
item []:
    item [1]:
        class = "IntervalTier"
        name = "phones"
        xmin = 0
        xmax = 3.5
        intervals: size = 2
        intervals [1]:
            xmin = 0
            xmax = 1.5
            text = "HH"
        intervals [2]:
            xmin = 1.5
            xmax = 3.5
            text = "AH0"
    item [2]:
        class = "TextTier"
        name = "words at points"
        xmin = 0
        xmax = 3.5
        points: size = 1
        points [1]:
            number = 0.5
            mark = "bell"
    item [3]:
        class = "IntervalTier"
        name = "Ann - words"
        xmin = 0
        xmax = 3.5
        intervals: size = 4
        intervals [1]:
            xmin = 0
            xmax = 1.0
            text = "sp"
        intervals [2]:
            xmin = 1.0
            xmax = 1.5
            text = "hello"
        intervals [3]:
            xmin = 1.5
            xmax = 2.5
            text = "say ""42"" now"
        intervals [4]:
            xmin = 2.5
            xmax = 3.5
            text = ""
"""
SHORT = """File type = "ooTextFile"
Object class = "TextGrid"

0
3.5
<exists>
1
"IntervalTier"
"Mary"
0
3.5
2
0
1.5
"hello"
1.5
3.5
"say 42"
"""


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_subtitles(tmp_path, ending):
    path = tmp_path / "a.srt"
    path.write_bytes(SRT.replace("\n", ending).encode("utf-8-sig"))
    first, second = "Hello! Maybe you have a moment?", "Far above the sea, Five big & purple boats."
    assert read_transcript(path) == f"{first} {second} Wow!"
    assert read_transcript(path, 0.0, 2.5) == first
    assert read_transcript(path, 2.4, 0.0) == f"{second} Wow!"
    with pytest.raises(UserError, match="transcript is empty"):
        read_transcript(path, 200.0)
    (tmp_path / "a.vtt").write_text(VTT)
    assert read_transcript(tmp_path / "a.vtt") == "Hello!"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_textgrids(tmp_path, encoding):
    path = tmp_path / "a.TextGrid"
    path.write_bytes(LONG.encode(encoding))
    assert read_transcript(path) == 'hello say "42" now'
    assert read_transcript(path, 1.4) == 'say "42" now'
    path.write_bytes(SHORT.encode(encoding))
    assert read_transcript(path) == "hello say 42"
    for broken in (
        SHORT.replace("\n2\n0\n", "\n9\n0\n"),
        'File type = "ooTextFile"\nObject class = "TextGrid"\n',
    ):
        path.write_bytes(broken.encode(encoding))
        with pytest.raises(UserError, match="not a TextGrid"):
            read_transcript(path)


def test_subtitles_with_giant_times_are_refused(tmp_path):
    path = tmp_path / "broken.srt"
    for hours in ("9" * 400, "1" * 200_000):
        path.write_text(f"1\n{hours}:00:00,200 --> 00:00:01,900\nHello!\n")
        with pytest.raises(UserError, match=r"broken\.srt: a subtitle's times cannot be read"):
            read_transcript(path)


def test_plain_text_with_colons_and_arrows_stays_text(tmp_path):
    (tmp_path / "a.txt").write_text("At 12:30 --> we go.\nNow.")
    assert read_transcript(tmp_path / "a.txt") == "At 12:30 --> we go.\nNow."
