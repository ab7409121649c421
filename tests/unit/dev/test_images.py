"""What goes into an image and into its tag, and that nothing of the host stays in it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path.append(str(ROOT / "dev"))

from cluster import containerd, settings  # noqa: E402
from cluster.errors import ClusterError  # noqa: E402
from images import base, builder, context, delivery  # noqa: E402

DOCKERFILE = """\
ARG BASE_IMAGE
FROM ${BASE_IMAGE} AS build
COPY requirements.lock \\
     pyproject.toml ./
COPY --chown=1:1 core core
copy ["with space", "/"]
RUN echo COPY nothing here
FROM ${BASE_IMAGE}
COPY --from=build /opt/cronwright /opt/cronwright
ADD core/ core
"""


def test_paths_that_a_dockerfile_copies_from_its_context() -> None:
    assert context.find_copied_paths(DOCKERFILE) == ["requirements.lock", "pyproject.toml", "core", "with space"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "core" / "__pycache__").mkdir(parents=True)
    (folder / "core" / "a.py").write_text("a")
    (folder / "core" / "__pycache__" / "a.pyc").write_text("bytes")
    (folder / "other.txt").write_text("not copied")
    (folder / "Dockerfile").write_text("FROM x\nCOPY core core\n")
    return folder


def tag_of(source: Path, destination: Path, arguments: dict[str, str] | None = None) -> str:
    context.copy_context(source, source / "Dockerfile", destination)
    return context.compute_tag(destination, arguments or {})


def test_the_copy_holds_what_is_named_and_no_more(source: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    context.copy_context(source, source / "Dockerfile", copy)
    assert sorted(str(path.relative_to(copy)) for path in copy.rglob("*")) == ["Dockerfile", "core", "core/a.py"]


def test_a_named_path_that_is_missing_is_an_error(source: Path, tmp_path: Path) -> None:
    (source / "Dockerfile").write_text("COPY LICENSE ./\n")
    with pytest.raises(ClusterError, match="LICENSE"):
        context.copy_context(source, source / "Dockerfile", tmp_path / "copy")


def test_the_tag_follows_the_content(source: Path, tmp_path: Path) -> None:
    first = tag_of(source, tmp_path / "1")
    (source / "other.txt").write_text("changed, but not copied")
    (source / "core" / "__pycache__" / "a.pyc").write_text("changed")
    assert tag_of(source, tmp_path / "2") == first
    tags = {first, tag_of(source, tmp_path / "3", {"BASE_IMAGE": "y"})}
    (source / "core" / "a.py").write_text("b")
    tags.add(tag_of(source, tmp_path / "4"))
    (source / "core" / "a.py").chmod(0o755)
    tags.add(tag_of(source, tmp_path / "5"))
    (source / "core" / "a.py").rename(source / "core" / "b.py")
    tags.add(tag_of(source, tmp_path / "6"))
    (source / "Dockerfile").write_text("FROM x\nCOPY core core\nUSER 1\n")
    tags.add(tag_of(source, tmp_path / "7"))
    assert len(tags) == 6


def test_the_base_is_named_by_its_recipe(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.json"
    recipe.write_bytes(base.RECIPE.read_bytes())
    assert base.base_image_name(recipe) == base.base_image_name()
    recipe.write_bytes(base.RECIPE.read_bytes() + b"\n")
    assert base.base_image_name(recipe) != base.base_image_name()


def test_how_the_host_reaches_its_package_index_goes_along() -> None:
    environment = {
        "PIP_INDEX_URL": "https://mirror.example/%20simple",
        "PIP_FIND_LINKS": "/opt/wheels",
        "PIP_RETRIES": "",
    }
    config = builder.write_pip_config(environment, has_certificates=True)
    assert dict(config["global"]) == {
        "cert": builder.BUILD_CERTIFICATES,
        "index-url": "https://mirror.example/%20simple",
    }
    assert dict(builder.write_pip_config({}, has_certificates=False)["global"]) == {}


def test_the_build_sets_no_environment_in_the_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://user:secret@mirror.example/simple")
    command = builder.build_buildah_command("localhost/a:1", tmp_path, {"BASE_IMAGE": "localhost/b:1"}, tmp_path)
    assert "--env" not in command
    assert not any("secret" in word for word in command)
    assert "secret" in (tmp_path / "pip.conf").read_text()
    assert command[command.index("--isolation") + 1] == "chroot"
    assert command[command.index("--build-arg") + 1] == "BASE_IMAGE=localhost/b:1"


def test_old_builds_leave_the_node_unless_used_or_at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = settings.find_layout({"CRONWRIGHT_STATE": str(tmp_path), "CRONWRIGHT_CACHE": str(tmp_path / "c")})
    names = [f"localhost/cronwright:{tag}" for tag in ("new", "used", "kept", "old", "dev")]
    monkeypatch.setattr(containerd, "list_images", lambda layout: [*names, "localhost/cronwright-base:old", "sha256:1"])
    monkeypatch.setattr(containerd, "list_images_in_use", lambda layout: {"localhost/cronwright:used"})
    archive = base.archive_of(layout, "localhost/cronwright:kept")
    archive.parent.mkdir(parents=True)
    archive.touch()
    image = builder.BuiltImage("localhost/cronwright:new", base.archive_of(layout, "localhost/cronwright:new"))
    assert delivery.find_obsolete(layout, image) == ["localhost/cronwright:old"]
