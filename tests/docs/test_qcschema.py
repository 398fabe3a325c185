"""What docs/qcschema.md types, on a real server."""

import re
import warnings

import pytest

from tests.api.server import running
from tests.paths import MODEL_STORE, ROOT

PAGE = (ROOT / "docs" / "qcschema.md").read_text(encoding="utf-8")
BODY = re.search(r"-d '(.*?)'\n```", PAGE, re.DOTALL).group(1)
SCRIPT = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL).group(1)


def test_its_request_and_its_script_give_the_same_energy() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("qcengine", exc_type=ImportError)
        from qcengine.programs import unregister_program
    names = {}
    with running(MODEL_STORE, default_model="organic-xtb", threads=1) as server:
        headers = {"Content-Type": "application/json"}
        answer = server.client.post("/predict", content=BODY, headers=headers).json()
        try:
            exec(SCRIPT.replace("http://localhost:8000", str(server.client.base_url)), names)
        finally:
            unregister_program("equipot")
    assert names["result"].properties.return_energy == answer["properties"]["return_energy"]
