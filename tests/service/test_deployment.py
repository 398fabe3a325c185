"""What /admin changed, and the file that keeps it."""

from pathlib import Path

import pytest

from app.errors import InvalidRequest, ModelInUse
from app.protocol.admin import Alias
from app.service.deployment import Deployment, DeploymentFile

NONE = Deployment()
CANARY = Alias(shares={"m@3": 90, "m@4": 10})


def test_what_is_written_is_read(tmp_path: Path) -> None:
    file = DeploymentFile(tmp_path / "deployment.json")
    assert file.read(NONE) == NONE
    kept = Deployment(default=("m", "n"), aliases={"m": CANARY}, load=("m@4",), unload=("n@1",))
    file.write(kept)
    assert DeploymentFile(file.path).read(NONE) == kept
    assert [path.name for path in tmp_path.iterdir()] == ["deployment.json"]


def test_what_somebody_else_wrote_is_not_written_over(tmp_path: Path) -> None:
    first, second = (DeploymentFile(tmp_path / "deployment.json") for _ in range(2))
    first.write(Deployment(default=("m",)))
    with pytest.raises(ModelInUse, match="POST /admin/reload"):
        second.write(Deployment(default=("n",)))
    assert second.read(NONE).default == ("m",)
    with pytest.raises(ModelInUse):
        second.write(Deployment(default=("n",)))
    second.accept()
    second.write(Deployment(default=("n",)))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "the file: Invalid JSON"),
        ('{"defalt": ["m"]}', "defalt: Extra inputs"),
        ('{"aliases": {"m": {"shares": {"m@3": 90}}}}', r"aliases.m.shares: they add up to 90"),
        ('{"aliases": {"m": {"shares": {"m": 100}}}}', "'m': `name@version` is expected"),
        ('{"aliases": {"M@": {"shares": {"m@3": 100}}}}', "aliases.M@"),
        ('{"load": ["m"]}', "load: 'm': `name@version` is expected"),
        ('{"load": ["m@1"], "unload": ["m@1"]}', "'m@1' is in load and in unload"),
        (
            '{"aliases": {"x": {"shares": {"m@3": 100}}}, "unload": ["m@3"]}',
            "'m@3' is in unload and has a share of 'x'",
        ),
    ],
)
def test_a_file_that_is_none_says_where(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "deployment.json").write_text(text)
    with pytest.raises(InvalidRequest, match=f"EQUIPOT_DEPLOYMENT_FILE.*{told}"):
        DeploymentFile(tmp_path / "deployment.json").read(NONE)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    file = DeploymentFile(tmp_path / "no" / "deployment.json")
    with pytest.raises(InvalidRequest, match="cannot be written: No such file"):
        file.write(Deployment(default=("m",)))
