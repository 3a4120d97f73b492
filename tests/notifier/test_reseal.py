"""A key that seals is replaced while channels stay as they are."""

import pytest

from services.notifier.reseal import reseal
from shared.notices.seal import Seal, SealKeyMissing
from shared.settings import Settings
from tests.support.notices import Local
from tests.support.platform import settings_from


def with_keys(local: Local, *keys: str) -> Settings:
    listed = ", ".join(f'"{key}"' for key in keys)
    with settings_from({**local.platform.environment, "FAULTLINE_SEAL_KEYS": f"[{listed}]"}) as settings:
        return settings


def test_after_resealing_the_old_key_can_go(local: Local) -> None:
    (old,) = (key.get_secret_value() for key in local.platform.settings.seal_keys)
    new = "another key for what is secret, 32 signs"
    channels = [local.channel("http://127.0.0.1:9/hook") for _ in range(3)]
    with pytest.raises(SealKeyMissing):
        reseal(local.platform.engine, with_keys(local, new))
    both = with_keys(local, new, old)
    assert reseal(local.platform.engine, both) == (3, 3)
    assert reseal(local.platform.engine, both) == (3, 0)
    seal = Seal(with_keys(local, new).seal_keys)
    for row in local.platform.rows("SELECT id, sealed FROM channels"):
        assert row["id"] in channels
        assert seal.open(bytes(row["sealed"]), bound_to=str(row["id"]))["url"] == "http://127.0.0.1:9/hook"
