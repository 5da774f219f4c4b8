"""Clients of other languages report an answer that was cut; at a clean end, several return it as a whole one.

Each reads one answer over HTTP/1.1 and says what it got: the length of the body, or that the answer was cut.
"""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.support.origins import localpayment
from tests.support.sidecars import BOUND, settings_for, sidecar

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.scripted_origin import Wire

CUT = b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n" + b"x" * 3_009
NODE = """
const report = (error) => console.log("cut " + error.code);
require("node:http").get(process.argv[2], (answer) => {
  let size = 0;
  answer.on("data", (piece) => (size += piece.length)).on("end", () => console.log(size)).on("error", report);
}).on("error", report);
"""
RUBY = """
require "net/http"
begin
  puts Net::HTTP.get_response(URI(ARGV[0])).body.length
rescue SystemCallError, IOError => error
  puts "cut #{error.class}"
end
"""
JAVA = """
import java.io.IOException;
import java.net.*;
class Reads {
  public static void main(String[] arguments) throws Exception {
    try (var body = new URL(arguments[0]).openConnection().getInputStream()) {
      System.out.println(body.readAllBytes().length);
    } catch (IOException error) {
      System.out.println("cut " + error);
    }
  }
}
"""
CLIENTS = {"node": ("js", NODE), "ruby": ("rb", RUBY), "java": ("java", JAVA)}


@pytest.mark.parametrize("program", CLIENTS)
async def test_a_client_reports_an_answer_that_was_cut(program: str, tmp_path: Path) -> None:
    found = shutil.which(program)
    if found is None or (program == "java" and shutil.which("javac") is None):  # which runs what is not compiled yet
        pytest.skip(f"WHAT {program.upper()} MAKES OF A CUT ANSWER IS NOT TESTED: it is not installed here")
    ending, text = CLIENTS[program]
    script = tmp_path / f"Reads.{ending}"
    await asyncio.to_thread(script.write_text, text)

    async def cut(wire: Wire) -> None:
        await wire.request()
        await wire.send(CUT)
        wire.cut()

    async with localpayment(cut) as there, sidecar(settings_for(there.url)) as relay:
        process = await asyncio.create_subprocess_exec(
            *(found, str(script), f"{relay.url}/api/resources/banks"), stdout=asyncio.subprocess.PIPE
        )
        async with asyncio.timeout(BOUND):
            said, _ = await process.communicate()
    assert said.startswith(b"cut"), said
