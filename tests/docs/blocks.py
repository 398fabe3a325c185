"""Blocks of code on the pages, and the commands in them."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.paths import ROOT

PLACES = ("*.md", "docs/*.md", "docs/tasks/*.md", "docker/*.md", "client/*.md", "recipes/**/*.md")
PAGES = sorted(page for place in PLACES for page in ROOT.glob(place))
BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
HEREDOC = re.compile(r"<<(\w+)\n.*?^\1\n", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"(?:^|\s)#\s.*$", re.MULTILINE)
OPERATORS = ";&|<>\n"


@dataclass(frozen=True)
class Block:
    """What stands between two fences."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def name(self) -> str:
        """Page and line."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


@dataclass(frozen=True)
class Command:
    """A program and its words, in a block for the shell; redirections are dropped."""

    block: Block
    words: tuple[str, ...]

    @property
    def name(self) -> str:
        """Where it stands, and its first words."""
        return f"{self.block.name} {shlex.join(self.words[:3])}"


def blocks_of(page: Path) -> Iterator[Block]:
    """All blocks of a page."""
    text = page.read_text(encoding="utf-8")
    for found in BLOCK.finditer(text):
        indent, language, content = found.groups()
        line = text.count("\n", 0, found.start()) + 1
        yield Block(page, line, language, re.sub(f"^{indent}", "", content, flags=re.MULTILINE))


def commands_of(block: Block) -> Iterator[Command]:
    """All commands of a block, one after the other, whatever joins them."""
    text = HEREDOC.sub("\n", block.text.replace("\\\n", " "))
    lexer = shlex.shlex(COMMENT.sub("", text), posix=True, punctuation_chars=OPERATORS)
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t", True, ""
    words: list[str] = []
    redirected = False
    for word in lexer:
        if redirected:
            redirected = False
        elif set(word) <= set("<>"):
            redirected = True
        elif set(word) <= set(OPERATORS):
            yield from _command(block, words)
            words = []
        else:
            words.append(word)
    yield from _command(block, words)


def _command(block: Block, words: list[str]) -> Iterator[Command]:
    """Without what the shell itself takes: loops, and variables before the program."""
    while words and (words[0] == "do" or re.fullmatch(r"[A-Z_]+=.*", words[0])):
        words = words[1:]
    if words and words[0] not in ("for", "done"):
        yield Command(block, tuple(words))


BLOCKS = [block for page in PAGES for block in blocks_of(page)]
COMMANDS = [command for b in BLOCKS if b.language == "sh" for command in commands_of(b)]
