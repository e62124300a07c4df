"""The README's matrix of versions: counted from pytest's results, written between its marks only."""

import pytest

from tools.version_matrix import BEGIN, END, README, Count, matrix, read_results, with_table, worker_python

RESULTS = """<testsuites><testsuite>
<testcase classname="tests.blender.test_sliders" name="a"/>
<testcase classname="tests.blender.test_sliders" name="b"><failure/></testcase>
<testcase classname="tests.blender.test_package" name="c"><skipped/></testcase>
<testcase classname="tests.blender.test_package" name="d"><error/></testcase>
</testsuite></testsuites>"""


def test_results_are_counted_by_file_and_version(tmp_path):
    (tmp_path / "r.xml").write_text(RESULTS)
    counts = read_results(tmp_path / "r.xml")
    assert counts == {"sliders": Count(1, 1, 0), "package": Count(0, 1, 1)}
    table = matrix({"5.0": counts, "4.2": {"sliders": Count(2)}, "10.1": {}}, {"4.2": "3.11", "5.0": "3.13"})
    assert table.splitlines()[0] == "| tests | Blender 4.2 | Blender 5.0 | Blender 10.1 |"
    assert table.splitlines()[2] == "| Python of the worker | 3.11 | 3.13 | - |"
    assert "| sliders | 2 passed | 1 passed, **1 failed** | - |" in table


def test_the_python_of_the_worker_is_the_suites_name(tmp_path):
    (tmp_path / "old.xml").write_text(RESULTS)
    (tmp_path / "new.xml").write_text(RESULTS.replace("<testsuite>", '<testsuite name="worker Python 3.13">'))
    assert worker_python(tmp_path / "old.xml") == "-" and worker_python(tmp_path / "new.xml") == "3.13"


def test_broken_results_are_named(tmp_path):
    (tmp_path / "cut.xml").write_text(RESULTS[:40])
    with pytest.raises(SystemExit, match=r"cut\.xml"):
        read_results(tmp_path / "cut.xml")


def test_the_table_goes_between_the_marks():
    text = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert with_table(text, "new") == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
    with pytest.raises(SystemExit, match="README"):
        with_table("no marks", "new")
    readme = README.read_text("utf-8")
    assert readme.count(BEGIN) == readme.count(END) == 1 and "Blender 5.0" in readme
