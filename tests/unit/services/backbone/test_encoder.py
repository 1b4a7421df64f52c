import asyncio
import threading

import pytest

from services.backbone.chat import encode_prompt
from services.backbone.encoder import PromptEncoder
from services.errors import DeadlinePassed, InvalidRequest, ServiceUnavailable
from tests.unit.services.held_tokenizer import HeldTokenizer
from tests.unit.services.tiny import TEXTS, build_tokenizer


async def test_prompts_are_encoded_as_everywhere_and_in_a_thread():
    tokenizer = build_tokenizer()
    encoder = PromptEncoder(tokenizer, name="test-encoder")
    found = await asyncio.gather(*map(encoder.encode, TEXTS))
    assert [t.name for t in threading.enumerate() if t.name.startswith("test-encoder")]
    encoder.close()
    assert found == [encode_prompt(tokenizer, text) for text in TEXTS]


async def test_a_bad_prompt_is_the_callers_error():
    encoder = PromptEncoder(build_tokenizer(), name="test-encoder")
    with pytest.raises(InvalidRequest):
        await encoder.encode("\ud800")
    encoder.close()


async def test_a_closed_encoder_takes_no_prompts():
    encoder = PromptEncoder(build_tokenizer(), name="test-encoder")
    encoder.close()
    with pytest.raises(ServiceUnavailable, match="shutting down"):
        await encoder.encode("hello")


@pytest.mark.parametrize("ends", ["by its deadline", "by its caller"])
async def test_a_prompt_that_nobody_waits_for_any_more_is_never_looked_at(ends):
    held = HeldTokenizer()
    encoder = PromptEncoder(held, name="test-encoder")
    first = asyncio.create_task(encoder.encode("hello"))
    await asyncio.to_thread(held.began.wait)
    if ends == "by its deadline":
        with pytest.raises(DeadlinePassed, match=r"not tokenised within the 0\.02 s"):
            await encoder.encode("late", timeout_s=0.02)
    else:
        gone = asyncio.create_task(encoder.encode("late"))
        await asyncio.sleep(0.01)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
    held.may_go_on.set()
    assert await first == encode_prompt(held.real, "hello")
    await encoder.encode("after", timeout_s=5)
    encoder.close()
    assert "after" in held.asked
    assert "late" not in held.asked


async def test_a_deadline_in_the_past_is_told_before_anything_is_tokenised():
    encoder = PromptEncoder(build_tokenizer(), name="test-encoder")
    with pytest.raises(DeadlinePassed, match="before"):
        await encoder.encode("hello", timeout_s=0)
    encoder.close()
