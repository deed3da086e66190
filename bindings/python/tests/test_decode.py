"""What became of each text of a batch, and threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

import bonesoup
from bonesoup import Status
from support import MODELS


@pytest.fixture
def soup() -> Iterator[bonesoup.Soup]:
    with bonesoup.Soup.open(MODELS / "llama3") as opened:
        yield opened


def three(soup: bonesoup.Soup) -> list[bonesoup.Session]:
    sessions = [soup.session() for _ in range(3)]
    for session in sessions:
        session.append([1, 2, 3])
    return sessions


def refused(sessions: list[bonesoup.Session]) -> tuple[Status, ...]:
    with pytest.raises(bonesoup.BoneSoupError) as failure:
        bonesoup.decode(sessions)
    assert failure.value.statuses is not None
    assert failure.value.status in failure.value.statuses
    return failure.value.statuses


def test_a_closed_one_is_named_and_the_others_can_go_on(soup: bonesoup.Soup) -> None:
    sessions = three(soup)
    sessions[1].close()
    assert refused(sessions) == (Status.NOT_READY, Status.STALE_HANDLE, Status.NOT_READY)
    bonesoup.decode([sessions[0], sessions[2]])
    assert sessions[2].info.computed == 3


def test_one_given_twice_is_named(soup: bonesoup.Soup) -> None:
    first, second, _ = three(soup)
    assert refused([first, second, first]) == (Status.NOT_READY, Status.NOT_READY, Status.INVALID_ARGUMENT)


def test_one_in_use_is_named(soup: bonesoup.Soup) -> None:
    sessions, inside, leave = three(soup), threading.Event(), threading.Event()

    def hook(logits: memoryview[float], tokens: memoryview[int]) -> None:
        inside.set()
        assert leave.wait(20)

    thread = threading.Thread(target=lambda: sessions[2].generate(max_tokens=1, hook=hook))
    thread.start()
    try:
        assert inside.wait(20)
        assert refused(sessions) == (Status.NOT_READY, Status.NOT_READY, Status.BUSY)
    finally:
        leave.set()
        thread.join()
    bonesoup.decode(sessions)


def test_one_without_memory_is_named_and_the_others_are_computed(soup: bonesoup.Soup) -> None:
    def full(engine: bonesoup.Engine) -> list[bonesoup.Session]:
        with bonesoup.Soup.open(MODELS / "llama3", engine=engine) as opened:
            sessions = [opened.session() for _ in range(2)]
        for session in sessions:
            session.append([1, 2, 3] * 80)
        sessions[0].decode()
        return sessions

    engine = bonesoup.Engine(1)
    measured = full(engine)
    # Room for one of two texts: what the first one has computed stays, and the second one's KV finds no place.
    poor, good = full(bonesoup.Engine(1, memory_budget=engine.memory)), three(soup)[0]
    assert measured[0].info.computed == poor[0].info.computed == 240
    with pytest.raises(bonesoup.OutOfMemoryError, match="KV cache") as failure:
        bonesoup.decode([poor[1], good])
    assert failure.value.statuses == (Status.OUT_OF_MEMORY, Status.OK)
    assert good.info.computed == 3


def test_a_cancel_has_statuses_too(soup: bonesoup.Soup) -> None:
    cancel = bonesoup.Cancel()
    cancel.request()
    sessions = three(soup)
    with pytest.raises(bonesoup.CancelledError) as failure:
        bonesoup.decode(sessions, cancel=cancel)
    assert failure.value.statuses is not None
    assert len(failure.value.statuses) == 3
    with pytest.raises(bonesoup.CancelledError) as failure:
        soup.generate_many(["a", "b"], progress=lambda share: False)
    assert failure.value.statuses is not None
    assert len(failure.value.statuses) == 2


def test_two_threads_are_in_two_sessions_at_once(soup: bonesoup.Soup) -> None:
    both, sessions = threading.Barrier(2, timeout=20), three(soup)[:2]
    lengths: list[int] = []

    def meet(logits: memoryview[float], tokens: memoryview[int]) -> None:
        both.wait()  # broken unless both calls are inside the library now

    def work(session: bonesoup.Session) -> None:
        lengths.append(len(session.generate(max_tokens=5, ignore_end=True, hook=meet).tokens))

    threads = [threading.Thread(target=work, args=(session,)) for session in sessions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lengths == [5, 5]


def begun(soup: bonesoup.Soup, count: int) -> list[bonesoup.Session]:
    sessions = [soup.session() for _ in range(count)]
    for number, session in enumerate(sessions):
        session.append([1, 2, 3 + number])
        session.begin(max_tokens=2 + number % 5, temperature=1.0, seed=number, top_logprobs=2)
    return sessions


def test_a_batch_writes_what_the_steps_write(soup: bonesoup.Soup) -> None:
    shares: list[float] = []
    texts = bonesoup.generate_batch(begun(soup, 20), progress=shares.append)
    assert shares == sorted(shares) and shares[-1] == 1
    for session, text in zip(begun(soup, 20), texts):
        steps: list[bonesoup.Step] = []
        while not steps or steps[-1].finish_reason is None:
            session.decode()
            steps.append(session.next())
        assert text.tokens == tuple(step.token for step in steps)
        assert text.logprobs == tuple(step.logprob for step in steps)
        assert text.text == "".join(step.text for step in steps)
        assert text.finish_reason == steps[-1].finish_reason


def test_one_of_a_batch_that_fails_is_named(soup: bonesoup.Soup) -> None:
    sessions = [*begun(soup, 3), soup.session()]
    with pytest.raises(bonesoup.NotReadyError) as failure:
        bonesoup.generate_batch(sessions)
    assert failure.value.statuses == (Status.OK, Status.OK, Status.OK, Status.NOT_READY)
    assert sessions[2].info.tokens > 3


def test_a_cancel_ends_a_batch(soup: bonesoup.Soup) -> None:
    cancel = bonesoup.Cancel()
    cancel.request()
    with pytest.raises(bonesoup.CancelledError):
        bonesoup.generate_batch(begun(soup, 3), cancel=cancel)
