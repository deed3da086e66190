"""What a soup tells, guard rails, building one call by call, and bad input."""

from __future__ import annotations

import json
import math
import pathlib
import pickle
import threading
from typing import Any

import pytest

import bonesoup
from support import MODELS, SOUPS, Adapter, Shape, random_model, write_model

SHAPE = Shape(hidden=16, layers=1, inner=24, heads=2, vocab=40)


def write_soup(folder: pathlib.Path, **changes: Any) -> pathlib.Path:
    """Write a soup of two adapters and return its folder."""
    random_model(folder / "base", SHAPE)
    for index in range(2):
        Adapter(SHAPE, index).write(folder / f"b{index}")
    soup: dict[str, Any] = {
        "bonesoup": 1,
        "base": "base",
        "objectives": [{"name": "brief"}, {"name": "happy"}],
        "backbones": [{"path": "b0"}, {"path": "b1"}],
        "matrix": [[0.3, 0.7], [0.7, 0.3]],
    }
    soup.update(changes)
    (folder / "soup.json").write_text(json.dumps(soup))
    return folder


def test_everything_in_soup_json_is_told(tmp_path: pathlib.Path) -> None:
    objectives = [
        {
            "name": "brief",
            "label": "Brief",
            "description": "fewer words",
            "default": 0.4,
            "min": 0.1,
            "max": 0.9,
            "step": 0.05,
            "floor": -0.5,
            "norm": {"mean": -61.2, "std": 18.4},
        },
        {"name": "happy"},
    ]
    folder = write_soup(
        tmp_path,
        objectives=objectives,
        extrapolation=[1.25, 1.0],
        guard={"max_abs_coefficient": 3.0, "on_violation": "clamp"},
        presets=[{"name": "Bedtime", "preference": {"brief": 0.2, "happy": 0.8}}],
        metadata={"anything": [1, None]},
    )
    with bonesoup.Soup.open(folder) as soup:
        brief, happy = soup.objectives
        assert brief == bonesoup.Objective(
            "brief", "Brief", "fewer words", 0.4, 0.1, 0.9, 0.05, -0.5, bonesoup.Norm(-61.2, 18.4), 1.25
        )
        assert (happy.label, happy.description, happy.floor, happy.norm) == ("happy", "", None, None)
        assert (happy.minimum, happy.maximum, happy.step, happy.extrapolation) == (0.0, 1.0, 0.01, 1.0)
        assert soup.presets == {"Bedtime": pytest.approx({"brief": 0.2, "happy": 0.8})}
        assert soup.matrix == ((0.3, 0.7), (0.7, 0.3))
        first, second = soup.backbones
        assert (first.path, second.path) == ("b0", "b1")
        assert first.low_rank
        assert first.rank == 4
        assert first.modules == 7 * SHAPE.layers
        assert first.parameters == sum(a.size + b.size for a, b in Adapter(SHAPE, 0).factors.values())
        info = soup.info
        assert (info.model_type, info.weights, info.vocabulary, info.layers) == ("llama", "f32", 40, 1)
        assert (info.hidden, info.heads, info.kv_heads, info.head_size) == (16, 2, 1, 8)
        assert (info.context, info.has_tokenizer, info.live) == (256, False, True)
        assert info.parameters == sum(tensor.size for tensor in SHAPE.random_tensors(0).values())
        assert info.condition == pytest.approx(2.5)
        assert (info.max_abs_coefficient, info.on_violation) == (3.0, "clamp")
        assert soup.blend(preset="Bedtime").preference == pytest.approx({"brief": 0.2, "happy": 0.8})
        with pytest.raises(bonesoup.NotFoundError, match="Bedtme"):
            soup.blend(preset="Bedtme")


def test_a_soup_may_be_a_folder_a_file_of_any_name_or_a_plain_model(tmp_path: pathlib.Path) -> None:
    folder = write_soup(tmp_path)
    (folder / "other name.json").write_bytes((folder / "soup.json").read_bytes())
    for path in (folder, folder / "soup.json", str(folder / "other name.json")):
        with bonesoup.Soup.open(path) as soup:
            assert len(soup.backbones) == 2
    with bonesoup.Soup.open(folder / "base") as plain:
        assert (plain.backbones, plain.objectives, plain.presets, plain.matrix) == ((), (), {}, None)
        assert plain.blend().coefficients == ()


def test_a_soup_from_memory(tmp_path: pathlib.Path) -> None:
    folder = write_soup(tmp_path)
    files: dict[str, Any] = {
        str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }
    files["base/model.safetensors"] = bytearray(files["base/model.safetensors"])
    files["base/config.json"] = memoryview(files["base/config.json"])
    with bonesoup.Soup.open("soup.json", files=files) as soup, bonesoup.Soup.open(folder) as other:
        assert soup.generate([1, 2], max_tokens=8).tokens == other.generate([1, 2], max_tokens=8).tokens
    with pytest.raises(bonesoup.NotFoundError, match="elsewhere"):
        bonesoup.Soup.open("elsewhere/soup.json", files=files)


def test_the_golden_values_of_the_mathematics(tmp_path: pathlib.Path) -> None:
    with bonesoup.Soup.open(write_soup(tmp_path)) as soup:
        assert soup.solve(preference=[1, 0]).coefficients == pytest.approx((-0.75, 1.75))
        assert soup.solve(preference=[0.5, 0.5]).coefficients == pytest.approx((0.5, 0.5))
        soup.set_matrix([[0.8, 0.2], [0.4, 0.6]])
        assert soup.solve(preference=[1, 0]).coefficients == pytest.approx((1.5, -0.5))
        soup.set_bone_matrix(1.0)
        assert soup.solve(preference=[0.3, 0.7]).coefficients == pytest.approx((0.3, 0.7))
        soup.set_extrapolation([2.0, 1.0])
        assert soup.solve(preference=[0.5, 0.5]).coefficients == pytest.approx((1.0, 0.5))


def test_thirds_written_short_are_renormalised_and_the_blend_says_so() -> None:
    with bonesoup.Soup.open(SOUPS / "llama3-lora") as soup:
        blend = soup.blend(preference={"brief": 0.33, "happy": 0.33, "rich": 0.33})
        assert blend.adjustments == ("renormalized",)
        assert blend.preference == pytest.approx({"brief": 1 / 3, "happy": 1 / 3, "rich": 1 / 3})
        assert soup.blend(preference=[1 / 3, 1 / 3, 1 / 3]).adjustments == ()
        assert soup.blend().preference == pytest.approx({"brief": 1 / 3, "happy": 1 / 3, "rich": 1 / 3})
        assert soup.blend(preference={}).preference == soup.blend().preference


@pytest.mark.parametrize(
    ("choice", "kind"),
    [
        ({"preference": [1.2, -0.2, 0.0]}, bonesoup.InvalidArgumentError),
        ({"preference": [math.nan, 0.5, 0.5]}, bonesoup.InvalidArgumentError),
        ({"preference": [0.5, 0.3, 0.1]}, bonesoup.InvalidArgumentError),
        ({"preference": [0.5, 0.5]}, bonesoup.MismatchError),
        ({"preference": {"breif": 1.0}}, bonesoup.NotFoundError),
        ({"coefficients": [1.0, 0.0]}, bonesoup.MismatchError),
        ({"coefficients": [math.nan, 0.0, 0.0]}, bonesoup.InvalidArgumentError),
        ({"coefficients": [math.inf, 0.0, 0.0]}, bonesoup.InvalidArgumentError),
        ({"preference": [1, 0, 0], "coefficients": [1, 0, 0]}, bonesoup.InvalidArgumentError),
        ({"preset": "none"}, bonesoup.NotFoundError),
    ],
)
def test_wrong_preferences_are_refused_and_named(choice: Any, kind: type[bonesoup.BoneSoupError]) -> None:
    with bonesoup.Soup.open(SOUPS / "llama3-lora") as soup:
        for call in (soup.blend, soup.solve, soup.blend_memory):
            with pytest.raises(kind) as caught:
                call(**choice)
            assert len(caught.value.message) > 10


def test_guard_rails_reject_or_clamp(tmp_path: pathlib.Path) -> None:
    with bonesoup.Soup.open(write_soup(tmp_path)) as soup:
        soup.set_guard(max_abs_coefficient=1.0)
        with pytest.raises(bonesoup.GuardRailError):
            soup.blend(preference=[1, 0])
        with pytest.raises(bonesoup.GuardRailError):
            soup.blend(coefficients=[0.0, -1.5])
        soup.set_guard()
        assert soup.blend(preference=[1, 0]).coefficients == pytest.approx((-0.75, 1.75))
    limited = [{"name": "brief", "max": 0.6}, {"name": "happy"}]
    with bonesoup.Soup.open(write_soup(tmp_path / "limited", objectives=limited)) as soup:
        with pytest.raises(bonesoup.GuardRailError, match="brief"):
            soup.blend(preference=[0.9, 0.1])
        soup.set_guard(on_violation="clamp")
        blend = soup.blend(preference=[0.9, 0.1])
        assert blend.adjustments == ("clamped",)
        assert blend.preference == pytest.approx({"brief": 0.6, "happy": 0.4})


def test_sliders_share_the_rest_in_their_proportions() -> None:
    with bonesoup.Soup.open(SOUPS / "llama3-lora") as soup:
        moved = soup.move_slider({"brief": 0.2, "happy": 0.6, "rich": 0.2}, "brief", 0.6)
        assert moved == pytest.approx({"brief": 0.6, "happy": 0.3, "rich": 0.1})
        moved = soup.move_slider([1.0, 0.0, 0.0], "brief", 0.4)
        assert moved == pytest.approx({"brief": 0.4, "happy": 0.3, "rich": 0.3})
        for preference, name in (({"breif": 1.0}, "brief"), ([1, 0, 0], "breif")):
            with pytest.raises(bonesoup.NotFoundError, match="breif"):
                soup.move_slider(preference, name, 0.5)


def test_building_drops_the_matrix_and_existing_blends_stay(tmp_path: pathlib.Path) -> None:
    folder = write_soup(tmp_path)
    with bonesoup.Soup.open(folder) as soup:
        blend = soup.blend(preference=[1, 0])
        assert soup.add_objective("rich", label="Rich", default=0.5, minimum=0.1, maximum=0.9, step=0.1) == 2
        assert soup.objectives[2].label == "Rich"
        assert soup.matrix is None
        with pytest.raises(bonesoup.BoneSoupError):
            soup.blend(preference=[1, 0, 0])
        assert soup.add_backbone(folder / "b0") == 2
        with pytest.raises(bonesoup.UnsolvableError):
            soup.set_matrix([[1, 0, 0], [0, 1, 0], [1, 1, 0]])
        with pytest.raises(bonesoup.MismatchError):
            soup.set_matrix([[1, 0], [0, 1]])
        with pytest.raises(bonesoup.InvalidArgumentError):
            soup.set_matrix([[1, 0, 0], [0, 1]])
        with pytest.raises(bonesoup.UnsolvableError):
            soup.set_bone_matrix(1 / 3)
        soup.set_bone_matrix(0.6)
        with pytest.raises(bonesoup.GuardRailError, match="rich"):
            soup.blend(preference=[1, 0, 0])
        assert soup.blend(preference=[0.8, 0.1, 0.1]).coefficients == pytest.approx((1.5, -0.25, -0.25))
        assert blend.coefficients == pytest.approx((-0.75, 1.75))
        assert blend.preference == pytest.approx({"brief": 1.0, "happy": 0.0})
        with pytest.raises(bonesoup.InvalidArgumentError):
            soup.add_objective("rich")


def test_nothing_of_a_failed_addition_stays(tmp_path: pathlib.Path) -> None:
    folder = write_soup(tmp_path)
    other = Shape(hidden=32, layers=1, inner=24, heads=2, vocab=40)
    random_model(tmp_path / "other", other)
    Adapter(other, 1).write(tmp_path / "other adapter")
    with bonesoup.Soup.open(folder) as soup:
        for path in (tmp_path / "other", tmp_path / "other adapter"):
            with pytest.raises(bonesoup.MismatchError):
                soup.add_backbone(path)
        with pytest.raises(bonesoup.NotFoundError):
            soup.add_backbone(tmp_path / "nothing")
        assert len(soup.backbones) == 2
        assert soup.matrix is not None
        assert soup.blend(preference=[1, 0]).coefficients == pytest.approx((-0.75, 1.75))


def test_engines_have_a_budget_and_tell_what_is_used(tmp_path: pathlib.Path) -> None:
    shape = Shape(hidden=16, layers=1, inner=24, heads=2, vocab=40, context=1 << 20)
    random_model(tmp_path / "m", shape)
    with bonesoup.Engine(threads=2, memory_budget=2 << 20) as engine:
        with bonesoup.Soup.open(tmp_path / "m", engine=engine, load="copy") as soup:
            used = engine.memory
            assert used > 0
            with soup.session(context=1 << 20) as session, pytest.raises(MemoryError):
                for _ in range(1 << 14):
                    session.append([1] * 64)
                    session.decode()
            with soup.session() as session:
                session.append([1, 2])
                session.decode()
        assert engine.memory < used
    with pytest.raises(bonesoup.OutOfMemoryError), bonesoup.Engine(memory_budget=1000) as engine:
        bonesoup.Soup.open(tmp_path / "m", engine=engine, load="copy")
    with pytest.raises(bonesoup.InvalidArgumentError):
        bonesoup.Soup.open(tmp_path / "m", engine=bonesoup.Engine(), threads=2)


def test_a_background_fold_is_waited_for(tmp_path: pathlib.Path) -> None:
    shape = Shape(hidden=256, layers=4, inner=512, heads=4, vocab=2000)
    base = shape.random_tensors(0)
    write_model(tmp_path / "base", shape, base)
    with bonesoup.Soup.open(tmp_path / "base") as soup:
        for seed in (1, 2):
            soup.add_backbone(write_model(tmp_path / str(seed), shape, shape.random_tensors(seed)))
        shares: list[float] = []
        threads: set[int] = set()

        def progress(share: float) -> None:
            shares.append(share)
            threads.add(threading.get_ident())

        blend = soup.blend(coefficients=[0.5, -0.25], background=True, progress=progress)
        while not blend.wait(0.05):
            assert not blend.ready
            with pytest.raises(bonesoup.NotReadyError):
                blend.session()
        assert blend.ready
        assert blend.progress == 1.0
        assert shares == sorted(shares)
        assert threading.get_ident() not in threads
        with soup.blend(coefficients=[0.5, -0.25]) as other:
            assert blend.fingerprint == other.fingerprint
            assert blend.generate([1, 2], max_tokens=5).tokens == other.generate([1, 2], max_tokens=5).tokens
        assert blend.info.memory == soup.blend_memory(coefficients=[0.5, -0.25]) > 0

        def fail(share: float) -> None:
            raise RuntimeError("no more")

        failing = soup.blend(coefficients=[0.5, 0.5], background=True, progress=fail)
        with pytest.raises(RuntimeError, match="no more"):
            failing.wait()
        with pytest.raises(bonesoup.CancelledError):
            failing.wait()
        with pytest.raises(bonesoup.CancelledError):
            failing.session()


@pytest.mark.parametrize(
    ("break_it", "kind", "names"),
    [
        (lambda f: (f / "soup.json").write_text("{"), bonesoup.MalformedError, "soup.json"),
        (lambda f: (f / "base/config.json").unlink(), bonesoup.NotFoundError, "config.json"),
        (lambda f: (f / "base/model.safetensors").write_bytes(b""), bonesoup.MalformedError, "model.safetensors"),
        (lambda f: (f / "b1/adapter_model.safetensors").write_bytes(b"\xff" * 64), bonesoup.MalformedError, "adapter"),
        (lambda f: write_soup(f, suop=1), bonesoup.BoneSoupError, "suop"),
        (lambda f: write_soup(f, matrix=[[1.0, 1.0], [1.0, 1.0]]), bonesoup.UnsolvableError, ""),
        (lambda f: write_soup(f, method={"name": "logits"}), bonesoup.UnsupportedError, "logits"),
        (lambda f: write_soup(f, base="gone"), bonesoup.NotFoundError, "gone"),
    ],
)
def test_bad_files_are_named(tmp_path: pathlib.Path, break_it: Any, kind: Any, names: str) -> None:
    folder = write_soup(tmp_path)
    break_it(folder)
    with pytest.raises(kind) as caught:
        bonesoup.Soup.open(folder)
    assert names in str(caught.value)


def test_verification_on_request(tmp_path: pathlib.Path) -> None:
    folder = write_soup(tmp_path, checksums={"base/config.json": "sha256:" + "0" * 64})
    bonesoup.Soup.open(folder).close()
    with pytest.raises(bonesoup.ChecksumError, match="config.json"):
        bonesoup.Soup.open(folder, verify="checksums")
    tensors = SHAPE.random_tensors(0)
    tensors["model.norm.weight"][3] = math.nan
    write_model(folder / "base", SHAPE, tensors)
    bonesoup.Soup.open(folder).close()
    with pytest.raises(bonesoup.BoneSoupError, match=r"model\.norm\.weight.*3"):
        bonesoup.Soup.open(folder, verify=["finite"])
    with pytest.raises(bonesoup.InvalidArgumentError):
        bonesoup.Soup.open(folder, verify="all")  # type: ignore[arg-type]


def test_an_unsupported_model_is_refused_by_its_type_with_those_supported(tmp_path: pathlib.Path) -> None:
    folder = random_model(tmp_path / "m", SHAPE)
    config = {**SHAPE.config(), "model_type": "mamba"}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(bonesoup.UnsupportedError, match=r"mamba.*llama") as caught:
        bonesoup.Soup.open(folder)
    for name in ("qwen2", "qwen3", "mistral"):
        assert name in caught.value.message


def test_exceptions_carry_status_and_message_and_can_be_pickled() -> None:
    with pytest.raises(LookupError) as caught:
        bonesoup.Soup.open("/nowhere/at all")
    error = caught.value
    assert isinstance(error, bonesoup.NotFoundError)
    assert error.status is bonesoup.Status.NOT_FOUND
    assert "/nowhere/at all" in error.message == str(error)
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), copy.status, copy.message) == (type(error), error.status, error.message)
    assert issubclass(bonesoup.GuardRailError, bonesoup.BoneSoupError)


def test_messages_belong_to_the_thread_that_failed() -> None:
    messages = {}

    def fail(name: str) -> None:
        for _ in range(50):
            with pytest.raises(bonesoup.NotFoundError, match=name):
                bonesoup.Soup.open(f"/nowhere/{name}")
        messages[name] = True

    threads = [threading.Thread(target=fail, args=(f"thread{index}",)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(messages) == 4


def test_the_library_tells_its_version_and_build() -> None:
    assert bonesoup.version() == bonesoup.__version__
    assert bonesoup.version() in bonesoup.build_info()


def test_a_model_with_a_tokenizer_tells_tokens() -> None:
    with bonesoup.Soup.open(MODELS / "llama3") as soup:
        tokens = soup.tokenize("The dog and the cat — 🦴")
        assert soup.is_special(tokens[0])
        assert not soup.is_special(tokens[1])
        assert b"".join(soup.token(token) for token in tokens[1:]).decode() == "The dog and the cat — 🦴"
        assert soup.detokenize(tokens, skip_special=True) == "The dog and the cat — 🦴"
        assert soup.detokenize(tokens).startswith("<|begin_of_text|>")
        assert soup.tokenize("<|im_end|>", special=False, parse_special=True) == [287]
        assert len(soup.tokenize("<|im_end|>", special=False)) > 1
        with pytest.raises(bonesoup.NotFoundError):
            soup.token(288)
        assert soup.detokenize([]) == ""
        assert soup.tokenize("", special=False) == []
