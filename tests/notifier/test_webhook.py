"""`services.notifier.webhook`: signatures as the reference library verifies them."""

from base64 import b64decode
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from services.notifier.webhook import new_secret, sign
from shared.errors import UserError

BODY = '{"kind":"run.succeeded","name":"Lager-Diagnose ✓"}'.encode()


def test_the_reference_library_verifies_what_is_signed() -> None:
    secret = new_secret()
    headers = sign([secret], "msg_1", datetime.now(UTC), BODY)
    assert Webhook(secret).verify(BODY, headers) == {"kind": "run.succeeded", "name": "Lager-Diagnose ✓"}


def test_the_signature_is_that_of_the_specifications_example() -> None:
    headers = sign(
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        datetime.fromtimestamp(1614265330, UTC),
        b'{"test": 2432232314}',
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_while_a_secret_is_replaced_the_old_and_the_new_one_verify() -> None:
    old, new = new_secret(), new_secret()
    headers = sign([new, old], "msg_1", datetime.now(UTC), BODY)
    assert len(headers["webhook-signature"].split(" ")) == 2
    for secret in (old, new):
        Webhook(secret).verify(BODY, headers)


def test_a_secret_that_was_dropped_does_not_verify() -> None:
    old, new = new_secret(), new_secret()
    with pytest.raises(WebhookVerificationError, match="No matching signature"):
        Webhook(old).verify(BODY, sign([new], "msg_1", datetime.now(UTC), BODY))


@pytest.mark.parametrize("changed", ["webhook-id", "webhook-timestamp"])
def test_the_id_and_the_time_are_signed_too(changed: str) -> None:
    secret, now = new_secret(), datetime.now(UTC)
    headers = sign([secret], "msg_1", now, BODY)
    other = sign([secret], "msg_2", now + timedelta(seconds=60), BODY)
    with pytest.raises(WebhookVerificationError, match="No matching signature"):
        Webhook(secret).verify(BODY, headers | {changed: other[changed]})


def test_a_new_secret_is_32_random_bytes() -> None:
    secrets = {new_secret() for _ in range(100)}
    assert len(secrets) == 100
    assert all(secret.startswith("whsec_") and len(b64decode(secret[6:])) == 32 for secret in secrets)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_c2hvcnQ=", "whsec_not base64 at all, not at all", "whsec_é"])
def test_a_secret_that_cannot_be_used_is_refused_without_being_repeated(secret: str) -> None:
    with pytest.raises(UserError) as error:
        sign([secret], "msg_1", datetime.now(UTC), BODY)
    assert error.value.message == "The webhook secret cannot be used."


@pytest.mark.parametrize(("secrets", "webhook_id"), [((), "msg_1"), ((new_secret(),), "msg.1"), ((new_secret(),), "")])
def test_a_signature_needs_a_secret_and_an_id_that_cannot_be_read_in_two_ways(
    secrets: tuple[str, ...], webhook_id: str
) -> None:
    with pytest.raises(ValueError, match="an id without a dot"):
        sign(secrets, webhook_id, datetime.now(UTC), BODY)
