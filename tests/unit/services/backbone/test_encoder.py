import asyncio
import threading

import pytest

from services.backbone.chat import encode_prompt
from services.backbone.encoder import PromptEncoder
from services.errors import InvalidRequest, ServiceUnavailable
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
