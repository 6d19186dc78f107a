"""The paraphrase benchmark reads and writes the form of its file."""

from pathlib import Path

from benchmarks.paraphrase import filed, items, surface


def test_benchmark_reads_and_writes_its_file(tmp_path: Path) -> None:
    file = tmp_path / "pairs.tsv"
    file.write_text("source\treferences\tupsa_output\nwhy is a b   what  ' s c\twhy\twhy b\n", encoding="utf-8")
    (row,) = items(file)
    assert surface(row.source) == "why is a b? what's c?"
    assert filed(surface("is it 4 . 5 or 1,000 , mr . x")) == "is it 4 . 5 or 1,000 , mr . x"
