from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from proxy.ops.spool import AppendedFile, Spool, write_all

if TYPE_CHECKING:
    from pathlib import Path

BOUND = 10.0  # seconds that nothing here may take; only a defect reaches it


def note(count: int) -> str:
    return f"{count} lost\n"


class Reader:
    """A sink that can be stopped, and that can be gone."""

    def __init__(self) -> None:
        self.got = b""
        self.gone = False
        self.asked = threading.Event()
        self.goes_on = threading.Event()
        self.goes_on.set()

    def __call__(self, content: bytes) -> None:
        self.asked.set()
        assert self.goes_on.wait(BOUND)
        if self.gone:
            raise BrokenPipeError
        self.got += content


def test_lines_come_out_in_the_order_in_which_they_were_given() -> None:
    reader = Reader()
    spool = Spool(reader, note=note)
    for number in range(1000):
        spool.write(f"{number}\n")
    assert spool.close(BOUND)
    assert reader.got.decode().splitlines() == [str(number) for number in range(1000)]
    assert spool.lost == 0


def test_a_reader_that_stops_costs_lines_and_never_time_and_is_told_how_many() -> None:
    reader = Reader()
    reader.goes_on.clear()
    spool = Spool(reader, note=note, waiting=3)
    spool.write("first\n")
    assert reader.asked.wait(BOUND)
    for number in range(10):
        spool.write(f"{number}\n")
    assert spool.lost == 7
    reader.goes_on.set()
    assert spool.close(BOUND)
    assert reader.got.decode() == "first\n7 lost\n0\n1\n2\n"


def test_lines_for_a_reader_that_is_gone_are_counted_and_told_when_there_is_one_again() -> None:
    reader = Reader()
    reader.gone = True
    spool = Spool(reader, note=note)
    spool.write("one\n")
    while spool.lost == 0:
        threading.Event().wait(0.001)
    reader.gone = False
    spool.write("two\n")
    assert spool.close(BOUND)
    assert reader.got.decode() == "1 lost\ntwo\n"
    assert spool.lost == 1


def test_a_note_that_cannot_be_written_is_no_lost_line() -> None:
    reader = Reader()
    reader.gone = True
    spool = Spool(reader, note=note)
    spool.write("one\n")
    while spool.lost == 0:
        threading.Event().wait(0.001)
    spool.write("two\n")
    assert spool.close(BOUND)
    assert spool.lost == 2
    assert reader.got == b""


def test_closing_waits_for_a_stuck_reader_only_so_long() -> None:
    reader = Reader()
    reader.goes_on.clear()
    spool = Spool(reader, note=note)
    spool.write("never\n")
    assert reader.asked.wait(BOUND)
    assert not spool.close(0.01)
    spool.write("too late\n")
    reader.goes_on.set()
    assert spool.close(BOUND)
    assert b"too late" not in reader.got
    assert spool.lost == 1


def test_a_descriptor_that_someone_made_non_blocking_gets_every_byte() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    content = os.urandom(300_000)
    got = bytearray()

    def read() -> None:
        while len(got) < len(content):
            got.extend(os.read(reading, 65_536))

    thread = threading.Thread(target=read)
    thread.start()
    write_all(writing, content)
    thread.join(BOUND)
    os.close(reading)
    os.close(writing)
    assert bytes(got) == content


def test_a_file_that_is_rotated_goes_on_under_its_name(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    file = AppendedFile(path)
    file.write(b"one\n")
    path.rename(tmp_path / "audit.jsonl.1")
    file.write(b"two\n")
    path.rename(tmp_path / "audit.jsonl.2")
    path.write_bytes(b"made by logrotate\n")
    file.write(b"three\n")
    file.close()
    assert (tmp_path / "audit.jsonl.1").read_bytes() == b"one\n"
    assert (tmp_path / "audit.jsonl.2").read_bytes() == b"two\n"
    assert path.read_bytes() == b"made by logrotate\nthree\n"


def test_a_new_file_is_not_for_everybody(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    AppendedFile(path).close()
    assert path.stat().st_mode & 0o007 == 0
