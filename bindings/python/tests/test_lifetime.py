"""Closing and collecting in any order."""

from __future__ import annotations

import gc
import itertools
import os
import random
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable

import pytest

import bonesoup
from support import SOUPS


def parts() -> dict[str, bonesoup.Engine | bonesoup.Soup | bonesoup.Blend | bonesoup.Session]:
    engine = bonesoup.Engine(threads=1)
    soup = bonesoup.Soup.open(SOUPS / "llama3-lora", engine=engine)
    blend = soup.blend(preference=[1, 0, 0])
    session = blend.session()
    session.append([1, 2, 3])
    session.decode()
    return {"engine": engine, "soup": soup, "blend": blend, "session": session, "fork": session.fork()}


def test_every_order_of_closing_is_right() -> None:
    for order in itertools.permutations(["engine", "soup", "blend", "session", "fork"]):
        objects = parts()
        for name in order:
            rest = [each for each in ("session", "fork") if not objects[each].closed]
            for each in rest:
                session = objects[each]
                assert isinstance(session, bonesoup.Session)
                session.append([4])
                session.decode()
            objects[name].close()
            objects[name].close()
            assert objects[name].closed


def test_collecting_in_any_order_is_right() -> None:
    chance = random.Random(2)
    for _ in range(30):
        objects = list(parts().values())
        chance.shuffle(objects)
        while objects:
            objects.pop()
            if chance.random() < 0.3:
                gc.collect()


def test_cycles_are_collected_and_their_memory_is_freed() -> None:
    with bonesoup.Engine(threads=1) as engine:
        before = engine.memory
        for _ in range(20):
            soup = bonesoup.Soup.open(SOUPS / "llama3-lora", engine=engine, load="copy")
            session = soup.session()

            def hook(logits: object, tokens: object, session: bonesoup.Session = session) -> None:
                assert session

            session.append([1, 2])
            session.begin(hook=hook)
            session.decode()
            session.next()
            session.decode()
            view = session.logits(copy=False)
            alive = weakref.ref(session)
            del soup, session, hook
            gc.collect()
            assert alive() is not None  # the view keeps its session
            assert len(view) == 288
            del view
            gc.collect()
            assert alive() is None
        assert engine.memory == before


def test_a_closed_object_says_so() -> None:
    objects = parts()
    for each in objects.values():
        each.close()
    soup, blend, session = objects["soup"], objects["blend"], objects["session"]
    assert isinstance(soup, bonesoup.Soup)
    assert isinstance(blend, bonesoup.Blend)
    assert isinstance(session, bonesoup.Session)
    for call in (
        lambda: soup.info,
        lambda: soup.generate("a"),
        lambda: soup.tokenize("a"),
        lambda: blend.session(),
        lambda: blend.generate("a"),
        lambda: session.tokens,
        lambda: session.next(),
        lambda: bonesoup.decode([session]),
        lambda: bonesoup.Soup.open(SOUPS / "llama3-lora", engine=objects["engine"]),  # type: ignore[arg-type]
    ):
        with pytest.raises(bonesoup.StaleHandleError, match="closed"):
            call()
    assert blend.coefficients == pytest.approx((2, -0.5, -0.5))  # what was read stays


def test_files_in_memory_live_as_long_as_what_was_made_from_them() -> None:
    folder = SOUPS.parent / "models" / "llama3"
    files = {f"m/{path.name}": path.read_bytes() for path in folder.iterdir() if path.is_file()}
    with bonesoup.Soup.open(folder) as plain:
        expected = plain.generate([1, 2, 3], max_tokens=10).tokens
    soup = bonesoup.Soup.open("m", files=files)
    session = soup.session()
    soup.close()
    del soup, files
    gc.collect()
    bytearray(1 << 20)
    session.append([1, 2, 3])
    assert session.generate(max_tokens=10).tokens == expected


EXIT = """
import sys
import bonesoup
class Holder:
    pass
holder = Holder()
holder.self = holder
holder.engine = bonesoup.Engine(threads=2, log=lambda warning, line: None)
holder.soup = bonesoup.Soup.open(sys.argv[1], engine=holder.engine)
holder.blend = holder.soup.blend(kind="folded", background=True, progress=lambda share: None)
holder.live = holder.soup.blend()
holder.session = holder.live.session()
holder.session.append([1, 2])
holder.session.begin(hook=lambda logits, tokens: None)
holder.session.decode()
holder.stream = holder.soup.stream("a")
next(holder.stream)
sys.modules["keep"] = holder
"""


def test_the_interpreter_may_end_with_everything_open() -> None:
    for _ in range(5):
        result = subprocess.run(
            [sys.executable, "-c", EXIT, str(SOUPS / "llama3-lora")], capture_output=True, text=True, timeout=60
        )
        assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_a_forked_child_gets_an_error_and_ends() -> None:
    with bonesoup.Soup.open(SOUPS / "llama3-lora") as soup:
        soup.generate("a", max_tokens=2)
        child = os.fork()
        if child == 0:
            status = 1
            try:
                soup.generate("a", max_tokens=2)
            except bonesoup.ForkedError:
                status = 0
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
        assert len(soup.generate("a", max_tokens=2).tokens) == 2


def test_many_objects_at_once() -> None:
    with bonesoup.Soup.open(SOUPS / "llama3-lora") as soup:
        blends = [soup.blend(preference=[1, 0, 0]) for _ in range(2000)]
        sessions = [blend.session() for blend in blends]
        for session in sessions:
            session.append([1, 2])
        bonesoup.decode(sessions)
        values = {session.logits().tobytes() for session in sessions}
        assert len(values) == 1


def test_misuse_by_many_threads_raises_and_harms_nothing() -> None:
    """Threads that use and close the same objects without any order."""
    soup = bonesoup.Soup.open(SOUPS / "llama3-lora")
    blends = [soup.blend(preference=[1, 0, 0]), soup.blend(preference=[0, 1, 0])]
    sessions = [blend.session() for blend in blends]
    end = time.monotonic() + 2
    kinds: set[str] = set()

    def use(chance: random.Random) -> None:
        index = chance.randrange(2)
        session = sessions[index]
        uses: list[Callable[[], object]] = [
            lambda: session.append([1, 2, 3]),
            lambda: bonesoup.decode(sessions),
            lambda: session.begin(hook=lambda logits, tokens: None, top_logprobs=3, ignore_end=True),
            session.next,
            session.next,
            lambda: (session.logits(), session.tokens, session.info),
            lambda: session.logits(copy=False),
            lambda: session.generate(max_tokens=2, ignore_end=True),
            lambda: session.rewind(2),
            lambda: session.set_blend(chance.choice(blends), chance.choice(["recompute", "continue"])),
            lambda: session.fork().decode(),
            lambda: (soup.objectives, soup.backbones, soup.end_tokens, soup.info),
            lambda: soup.generate("a", preference=[0, 0, 1], max_tokens=2),
            session.close,
            lambda: sessions.__setitem__(index, blends[index].session()),
        ]
        chance.choice(uses)()

    def work(seed: int) -> None:
        chance = random.Random(seed)
        while time.monotonic() < end:
            try:
                use(chance)
            except BufferError:  # a view of another thread
                kinds.add("BufferError")
            except bonesoup.InternalError:
                raise
            except bonesoup.BoneSoupError as error:
                kinds.add(type(error).__name__)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    soup.close()
    for thread in threads:
        thread.join()
    assert {"StaleHandleError", "NotReadyError", "BusyError"} <= kinds
