"""The part of a chat completion that is read; everything else may change as it likes."""

from __future__ import annotations

from pydantic import BaseModel


class _Message(BaseModel):
    content: str | None = None


class _Choice(BaseModel):
    message: _Message


class Usage(BaseModel):
    """What a call cost, in tokens."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    def attributes(self) -> dict[str, int]:
        """Return it under OpenTelemetry's names."""
        return {
            "gen_ai.usage.input_tokens": self.prompt_tokens,
            "gen_ai.usage.output_tokens": self.completion_tokens,
        }


class Completion(BaseModel):
    """What a model answered."""

    choices: list[_Choice]
    usage: Usage = Usage()

    def text(self) -> str:
        """Return the first choice's words, or nothing if there is none."""
        return (self.choices[0].message.content or "") if self.choices else ""
