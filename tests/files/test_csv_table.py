"""CSV tables: what is written is read back by Python's own reader."""

from __future__ import annotations

import csv

from yolo.files.csv_table import csv_bytes, write_csv

ROWS = [["a,b", 1, 'say "x"'], ["line\nbreak", None, "\udcff.jpg"]]


def test_a_table_comes_back(tmp_path):
    """Commas, quotes, line breaks, and a file name that is not Unicode."""
    write_csv(tmp_path / "a.csv", ("name", "n", "text"), ROWS)
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8", errors="surrogatepass") as file:
        assert list(csv.reader(file)) == [
            ["name", "n", "text"],
            ["a,b", "1", 'say "x"'],
            ["line\nbreak", "", "\udcff.jpg"],
        ]


def test_the_bytes_of_a_table():
    assert csv_bytes(("a", "b"), [(1, "x")]) == b"a,b\r\n1,x\r\n"
