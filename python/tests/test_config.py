"""Configurations."""

import numpy as np
import pytest

import deepaug
from deepaug import Config


def test_a_configuration_is_a_mapping(tmp_path):
    config = Config("quickstart", model="wrn_16_2", ops=["rotate", "shear"], seed=np.int64(3), standardize=False)
    assert (config["model"], config["ops"], config["seed"], config["standardize"]) == ("wrn_16_2", ["rotate", "shear"], 3, False)
    assert dict(config)["space"] == "schemes" and len(config) == len(list(config)) > 80
    assert config.replace(seed=4)["seed"] == 4 and config["seed"] == 3
    assert Config(config)["model"] == "wrn_16_2"
    assert Config({"iters": 7})["iters"] == 7 and Config("deepaugment")["overfit_measure"] == "deepaugment"
    (tmp_path / "own.toml").write_text(config.to_toml())
    assert dict(Config(tmp_path / "own.toml")) == dict(config)
    assert dict(Config(tmp_path / "own.toml", iters=5)) == {**config, "iters": 5}
    assert "model='wrn_16_2'" in repr(config)
    child = Config(child={"command": ["python3", "train.py"], "folder": "."})["child"]
    assert child["command"] == ["python3", "train.py"] and Config(**{"child.folder": "x"})["child"]["folder"] == "x"


def test_errors_name_the_key_and_the_file(tmp_path):
    with pytest.raises(deepaug.ConfigError, match='unknown key "modle"; did you mean "model"'):
        Config(modle="wrn_16_2")
    with pytest.raises(deepaug.ConfigError, match="iters"):
        Config(iters=-1)
    with pytest.raises(TypeError, match="seed: must be a number"):
        Config(seed=object())
    path = tmp_path / "wrong.toml"
    path.write_text("seed = 1\nopt_sample = 3")
    with pytest.raises(deepaug.ConfigError, match="line 2") as error:
        Config(path)
    assert error.value.path == str(path) and error.value.code == 3
    with pytest.raises(deepaug.ConfigError, match="cannot read"):
        Config(tmp_path / "none.toml")
