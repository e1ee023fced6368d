"""A process ends with its worker, whatever its threads are still at."""

import subprocess
import sys
import textwrap


def _status(program: str) -> tuple[int, str]:
    command = [sys.executable, "-c", textwrap.dedent(program)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return ended.returncode, ended.stderr


def test_a_call_that_never_returns_does_not_keep_the_process_of_a_worker_that_ended_alive() -> None:
    status, words = _status("""
        import asyncio, threading
        from infra.roles.run import CertainEnd

        async def work(end):
            asyncio.get_running_loop().run_in_executor(None, threading.Event().wait)
            end.begin()
            raise ValueError("the watchdog")

        asyncio.run(work(CertainEnd("coders", grace_s=0.1)))
    """)
    assert status == 1
    assert "coders has ended, but a call of its does not return" in words


def test_a_worker_that_ends_by_itself_is_not_ended() -> None:
    status, words = _status("""
        from infra.roles.run import CertainEnd

        end = CertainEnd("coders", grace_s=0.1)
        end.begin()
        end.begin()
        end.cancel()
    """)
    assert (status, words) == (0, "")
