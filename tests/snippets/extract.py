"""Cuts out what README.md and `peerage demo` tell a reader to run, byte for byte.

    extract.py readme README.md FOLDER    writes FOLDER/{python,ts,go}/{setup.sh,snippet.*}
    extract.py demo OUTPUT                prints each command of the demo, one a line

A snippet is the one fenced block of its language in the section "Call it from your
service"; the `sh` blocks that stand between it and the snippet before it are its setup.
A demo command is a line that starts with two spaces, a dollar sign and a space; a
backslash at the end joins the next line.
"""

import pathlib
import re
import sys

SECTION = "Call it from your service"
FILES = {"python": "snippet.py", "ts": "snippet.ts", "go": "main.go"}


def section(markdown: str) -> str:
    """Returns the text below the section's heading, up to the next heading of its level."""
    lines, level, fenced = [], 0, False
    for line in markdown.splitlines():
        fenced ^= line.lstrip().startswith("```")
        heading = None if fenced else re.match(r"(#+)\s+(.*?)\s*$", line)
        if heading and level and len(heading[1]) <= level:
            break
        if heading and heading[2] == SECTION:
            level = len(heading[1])
        elif level:
            lines.append(line)
    if not level:
        sys.exit(f"README.md has no section `{SECTION}`")
    return "\n".join(lines) + "\n"


def readme(path: str, folder: str) -> None:
    setup: list[str] = []
    found = set()
    blocks = re.findall(r"^```(\w+)[^\n]*\n(.*?)^```\s*$", section(pathlib.Path(path).read_text()), re.M | re.S)
    for language, body in blocks:
        if language == "sh":
            setup.append(body)
            continue
        if language not in FILES:
            continue
        if language in found:
            sys.exit(f"the section `{SECTION}` has more than one {language} block")
        found.add(language)
        target = pathlib.Path(folder, language)
        target.mkdir(parents=True)
        (target / FILES[language]).write_text(body)
        (target / "setup.sh").write_text("".join(setup))
        setup = []
    missing = FILES.keys() - found
    if missing:
        sys.exit(f"the section `{SECTION}` lacks a block of: {', '.join(sorted(missing))}")


def demo(path: str) -> None:
    commands = re.findall(r"^  \$ ((?:[^\n]*\\\n)*[^\n]*)", pathlib.Path(path).read_text(), re.M)
    if not commands:
        sys.exit("the demo printed no command")
    for command in commands:
        print(re.sub(r"\\\n\s*", "", command))


if __name__ == "__main__":
    {"readme": readme, "demo": demo}[sys.argv[1]](*sys.argv[2:])
