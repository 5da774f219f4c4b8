"""Lines are written in order by a thread; a slow or missing reader costs lines, and never time."""

from __future__ import annotations

import os
import resource
import signal
import threading
from typing import TYPE_CHECKING

import pytest

from proxy.ops.logs.background_writer import AppendedFile, AuditLine, BackgroundWriter, CutError, LineWriter, write_all

if TYPE_CHECKING:
    from collections.abc import Iterator
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
    writer = BackgroundWriter(reader, note=note)
    for number in range(1000):
        writer.write(f"{number}\n")
    assert writer.close(BOUND)
    assert reader.got.decode().splitlines() == [str(number) for number in range(1000)]
    assert writer.lost == 0


def test_a_reader_that_stops_costs_lines_and_never_time_and_is_told_how_many() -> None:
    reader = Reader()
    reader.goes_on.clear()
    writer = BackgroundWriter(reader, note=note, waiting=3)
    writer.write("first\n")
    assert reader.asked.wait(BOUND)
    for number in range(10):
        writer.write(f"{number}\n")
    assert writer.lost == 7
    reader.goes_on.set()
    assert writer.close(BOUND)
    assert reader.got.decode() == "first\n7 lost\n0\n1\n2\n"


def test_lines_for_a_reader_that_is_gone_are_counted_and_told_when_there_is_one_again() -> None:
    reader = Reader()
    reader.gone = True
    writer = BackgroundWriter(reader, note=note)
    writer.write("one\n")
    while writer.lost == 0:
        threading.Event().wait(0.001)
    reader.gone = False
    writer.write("two\n")
    assert writer.close(BOUND)
    assert reader.got.decode() == "1 lost\ntwo\n"
    assert writer.lost == 1


def test_a_note_that_cannot_be_written_is_no_lost_line() -> None:
    reader = Reader()
    reader.gone = True
    writer = BackgroundWriter(reader, note=note)
    writer.write("one\n")
    while writer.lost == 0:
        threading.Event().wait(0.001)
    writer.write("two\n")
    assert writer.close(BOUND)
    assert writer.lost == 2
    assert reader.got == b""


def test_closing_waits_for_a_stuck_reader_only_so_long() -> None:
    reader = Reader()
    reader.goes_on.clear()
    writer = BackgroundWriter(reader, note=note)
    writer.write("never\n")
    assert reader.asked.wait(BOUND)
    assert not writer.close(0.01)
    writer.write("too late\n")
    reader.goes_on.set()
    assert writer.close(BOUND)
    assert b"too late" not in reader.got
    assert writer.lost == 1


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


@pytest.fixture
def disk() -> Iterator[Disk]:
    found = Disk()
    yield found
    found.has_room()


class Disk:
    """One on which files may grow so far and no further, as on one that is full."""

    def __init__(self) -> None:
        self._limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        self._handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write then fails with EFBIG

    def is_full_at(self, size: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, self._limits[1]))

    def has_room(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self._limits)
        signal.signal(signal.SIGXFSZ, self._handler)


def test_a_line_that_a_full_disk_cut_is_ended_before_the_next_one(tmp_path: Path, disk: Disk) -> None:
    file = AppendedFile(tmp_path / "audit.jsonl")
    file.write(b"one\n")
    disk.is_full_at(10)
    with pytest.raises(CutError) as caught:
        file.write(b"two\nthree\n")
    assert caught.value.written == 6
    with pytest.raises(CutError) as caught:
        file.write(b"four\n")
    assert caught.value.written == 0
    disk.has_room()
    file.write(b"five\n")
    file.close()
    assert (tmp_path / "audit.jsonl").read_bytes() == b"one\ntwo\nth\nfive\n"


def test_a_file_whose_last_writer_met_a_full_disk_is_gone_on_with_on_a_line_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    path.write_bytes(b"one\ntw")
    file = AppendedFile(path)
    file.write(b"three\n")
    file.close()
    assert path.read_bytes() == b"one\ntw\nthree\n"


def test_a_file_that_was_rotated_after_a_cut_begins_with_a_whole_line(tmp_path: Path, disk: Disk) -> None:
    path = tmp_path / "audit.jsonl"
    file = AppendedFile(path)
    disk.is_full_at(2)
    with pytest.raises(CutError):
        file.write(b"one\n")
    path.rename(tmp_path / "audit.jsonl.1")
    disk.has_room()
    file.write(b"two\n")
    file.close()
    assert path.read_bytes() == b"two\n"


class CutSink:
    """Takes so many bytes of what comes next, then fails once."""

    def __init__(self, room: int | None = None) -> None:
        self.room = room
        self.got = b""

    def __call__(self, content: bytes) -> None:
        room, self.room = self.room, None
        self.got += content[:room]
        if room is not None:
            raise CutError(room)


def test_only_the_lines_of_a_batch_that_were_not_written_whole_are_lost() -> None:
    sink = CutSink(room=7)
    writer = BackgroundWriter(sink, note=note)
    for line in ("one\n", AuditLine("two\n"), AuditLine("three\n")):
        writer.write(line)
    assert writer.close(BOUND)
    assert (writer.lost, writer.audit_lost) == (2, 2)


def test_lines_of_the_audit_stream_that_are_refused_are_counted_by_themselves() -> None:
    reader = Reader()
    reader.goes_on.clear()
    writer = BackgroundWriter(reader, note=note, waiting=1)
    writer.write("first\n")
    assert reader.asked.wait(BOUND)
    for line in ("kept\n", "log\n", AuditLine("audit\n")):
        writer.write(line)
    assert (writer.lost, writer.audit_lost) == (2, 1)
    reader.goes_on.set()
    assert writer.close(BOUND)


def test_the_thread_outlives_whatever_its_sink_raises() -> None:
    reader = Reader()

    def sink(content: bytes) -> None:
        reader(content)
        if b"bad" in content:
            raise ValueError

    writer = BackgroundWriter(sink, note=note)
    writer.write("bad\n")
    while writer.lost == 0:
        threading.Event().wait(0.001)
    writer.write("good\n")
    assert writer.close(BOUND)
    assert reader.got.decode().endswith("1 lost\ngood\n")


def test_lines_to_a_pipe_whose_reader_is_gone_are_all_counted() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    writer = BackgroundWriter(LineWriter(writing).write, note=note)
    for number in range(60):
        writer.write(AuditLine(f"{number}\n"))
    assert writer.close(BOUND)
    os.close(writing)
    assert (writer.lost, writer.audit_lost) == (60, 60)
