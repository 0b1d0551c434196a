"""What the official client of the OpenAI API sees of a server: URL is its base address."""

import asyncio
import json
import re
import sys

import openai

URL = sys.argv[1]
CHAT = [{"role": "user", "content": "Sail!"}]


def client(**more):
    return openai.OpenAI(**{"base_url": URL, "api_key": "secret", "max_retries": 0, "timeout": 60, **more})


def fails(error, call, **checks):
    try:
        call()
    except error as caught:
        for name, value in checks.items():
            assert getattr(caught, name) == value, (name, getattr(caught, name))
        return
    raise AssertionError(f"{error.__name__} was not raised")


def models(c):
    listed = c.models.list().data
    assert [m.id for m in listed] == ["ship"] and listed[0].object == "model"
    assert c.models.retrieve("ship").id == "ship"
    fails(openai.NotFoundError, lambda: c.models.retrieve("other"), code="model_not_found")


def chat(c):
    whole = c.chat.completions.create(model="ship", messages=CHAT, max_tokens=8, seed=1)
    choice = whole.choices[0]
    assert whole.object == "chat.completion" and choice.message.role == "assistant"
    assert choice.finish_reason in ("length", "stop") and choice.logprobs is None
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens
    text, reasons, roles = "", [], []
    stream = c.chat.completions.create(
        model="ship", messages=CHAT, max_tokens=8, seed=1, stream=True, stream_options={"include_usage": True})
    for chunk in stream:
        if not chunk.choices:
            assert chunk.usage == whole.usage
            continue
        assert chunk.usage is None and chunk.object == "chat.completion.chunk"
        text += chunk.choices[0].delta.content or ""
        roles.append(chunk.choices[0].delta.role)
        reasons.append(chunk.choices[0].finish_reason)
    assert text == choice.message.content, (text, choice.message.content)
    assert roles[0] == "assistant" and not any(roles[1:])
    assert reasons[-1] == choice.finish_reason and not any(reasons[:-1])


def choices_and_logprobs(c):
    many = c.chat.completions.create(
        model="ship", messages=CHAT, max_tokens=4, n=3, seed=2, temperature=1.5, logprobs=True, top_logprobs=5)
    assert [one.index for one in many.choices] == [0, 1, 2]
    assert len({one.message.content for one in many.choices}) > 1
    for one in many.choices:
        for token in one.logprobs.content:
            assert token.logprob <= 0 and len(token.top_logprobs) == 5
            assert isinstance(token.bytes, list)
        joined = b"".join(bytes(token.bytes) for token in one.logprobs.content)
        assert joined.decode(errors="replace") == one.message.content


def completions(c):
    whole = c.completions.create(model="ship", prompt=["The ship", "A sea"], max_tokens=4, n=2, seed=3, logprobs=2)
    assert [one.index for one in whole.choices] == [0, 1, 2, 3]
    for one in whole.choices:
        assert len(one.logprobs.tokens) == len(one.logprobs.top_logprobs) == len(one.logprobs.text_offset) == 4
    scored = c.completions.create(model="ship", prompt="The ship sails.", max_tokens=0, echo=True, logprobs=1)
    logprobs = scored.choices[0].logprobs
    assert scored.choices[0].text == "The ship sails." and scored.usage.completion_tokens == 0
    assert logprobs.token_logprobs[0] is None and all(value <= 0 for value in logprobs.token_logprobs[1:])
    assert "".join(logprobs.tokens) == "The ship sails."
    story = c.completions.create(model="ship", prompt="The ship sails.", max_tokens=24, temperature=0).choices[0].text
    stop = story[len(story) // 2:][:2]
    stopped = c.completions.create(
        model="ship", prompt="The ship sails.", max_tokens=24, temperature=0, stop=[stop]).choices[0]
    assert stopped.text == story[:story.index(stop)] and stopped.finish_reason == "stop"
    streamed = c.completions.create(model="ship", prompt="The ship sails.", max_tokens=24, temperature=0, stream=True)
    assert "".join(chunk.choices[0].text for chunk in streamed) == story


def grammars(c):
    asked = {"structured_outputs": {"regex": "[a-c]{3}-[0-9]{2}"}}
    text = c.completions.create(model="ship", prompt="a", max_tokens=32, extra_body=asked).choices[0].text
    assert re.fullmatch("[a-c]{3}-[0-9]{2}", text), text


def tools(c):
    # A small model cannot call: a grammar lets it write one call, whose city is its choice.
    grammar = r'''root ::= "<tool_call>{\"name\": \"weather\", \"arguments\": {\"city\": \"" [A-Z] [a-z]{3,8} "\"}}</tool_call>"'''
    asked = dict(
        model="ship", messages=CHAT, seed=1, max_tokens=200, extra_body={"grammar": grammar},
        tools=[{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}])
    choice = c.chat.completions.create(**asked).choices[0]
    assert choice.finish_reason == "tool_calls", choice
    call = choice.message.tool_calls[0]
    assert call.id and call.type == "function" and call.function.name == "weather"
    assert list(json.loads(call.function.arguments)) == ["city"]
    arguments, names = "", []
    for chunk in c.chat.completions.create(**asked, stream=True):
        for piece in chunk.choices[0].delta.tool_calls or []:
            arguments += piece.function.arguments or ""
            names += [piece.function.name] if piece.function.name else []
    assert arguments == call.function.arguments and names == ["weather"], (arguments, names)
    answered = CHAT + [choice.message, {"role": "tool", "tool_call_id": call.id, "content": "rain"}]
    again = c.chat.completions.create(model="ship", messages=answered, max_tokens=2, tools=asked["tools"])
    assert again.choices[0].message.role == "assistant"


def token_ids(c):
    wanted = {"return_token_ids": True}
    whole = c.completions.create(model="ship", prompt="The ship", max_tokens=6, seed=1, extra_body=wanted)
    ids = whole.choices[0].token_ids
    assert len(whole.choices[0].prompt_token_ids) == whole.usage.prompt_tokens and len(ids) >= 6 - 1
    again = c.completions.create(  # token in, token out
        model="ship", prompt=whole.choices[0].prompt_token_ids, max_tokens=6, seed=1, stream=True, extra_body=wanted)
    chunks = [chunk.choices[0] for chunk in again]
    assert [one for chunk in chunks for one in chunk.token_ids] == ids
    assert chunks[0].prompt_token_ids == whole.choices[0].prompt_token_ids


def errors(c):
    create = c.chat.completions.create
    fails(openai.BadRequestError, lambda: create(model="ship", messages=[]), param="messages", status_code=400)
    fails(openai.BadRequestError, lambda: create(model="ship", messages=CHAT, temperature=-1), param="temperature")
    fails(openai.BadRequestError, lambda: create(model="ship", messages=CHAT, stream=True, n=999), param="n")
    fails(openai.NotFoundError, lambda: create(model="other", messages=CHAT), code="model_not_found")
    fails(openai.NotFoundError, lambda: c.embeddings.create(model="ship", input="a"), status_code=404)
    stranger = client(api_key="wrong")
    fails(openai.AuthenticationError, lambda: stranger.models.list(), code="invalid_api_key")


def headers(c):
    raw = c.chat.completions.with_raw_response.create(
        model="ship", messages=CHAT, max_tokens=1, extra_headers={"x-request-id": "mine-1"})
    assert raw.headers["x-request-id"] == "mine-1" and raw.headers["content-type"] == "application/json"
    assert raw.parse()._request_id == "mine-1"
    stream = c.chat.completions.with_raw_response.create(model="ship", messages=CHAT, max_tokens=1, stream=True)
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert stream.headers["cache-control"] == "no-cache" and stream.headers["x-request-id"]


async def asynchronous():
    async with openai.AsyncOpenAI(base_url=URL, api_key="secret", max_retries=0, timeout=60) as c:
        async def ask(seed):
            stream = await c.chat.completions.create(
                model="ship", messages=CHAT, max_tokens=12, seed=seed, stream=True)
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

        together = await asyncio.gather(*(ask(seed) for seed in range(8)))
        alone = [await ask(seed) for seed in range(8)]
        assert together == alone
        left = await c.completions.create(model="ship", prompt="a", max_tokens=4000, stream=True)
        await left.close()


def main():
    with client() as c:
        for check in (models, chat, choices_and_logprobs, completions, grammars, tools, token_ids, errors, headers):
            check(c)
            print("ok", check.__name__)
    asyncio.run(asynchronous())
    print("ok asynchronous, with openai", openai.__version__)


main()
