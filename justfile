# The recipes of a working day. `.ci/run` runs all checks on a clean checkout.

set shell := ["bash", "-euo", "pipefail", "-c"]

# Lists the recipes.
default:
    @just --list

# Starts a server on a built-in world, asks it questions and keeps serving.
demo *arguments:
    cargo run --release -- demo {{ arguments }}

# Runs every test on both databases; arguments go to cargo test.
test *arguments:
    tests/run {{ arguments }}

# Checks format, lints and documentation.
lint:
    cargo fmt --all --check
    cargo clippy --locked --workspace --all-targets -- -D warnings
    RUSTDOCFLAGS='-D warnings' cargo doc --locked --workspace --no-deps

# Formats the code.
format:
    cargo fmt --all

# Checks the dependencies: bans, licenses, sources, unused ones.
deny:
    cargo fetch --locked
    source .ci/tools; need_cargo_deny; cargo deny --offline --locked check bans licenses sources
    source .ci/tools; need_cargo_machete; cargo machete

# Lints the proto files and compares them with the baseline.
proto:
    source .ci/tools; need_buf; buf lint proto; buf breaking proto --against proto/baseline.binpb

# Makes the proto files as they are the new baseline; a break needs a line in CHANGELOG.md.
proto-baseline:
    source .ci/tools; need_buf; buf build proto --exclude-source-info -o proto/baseline.binpb


# Checks the audit format against its page and its test vectors.
audit-format:
    python3 tests/audit_format.py
# Runs the snippets of README.md and the commands that the demo prints.
snippets:
    cargo build --locked
    tests/snippets/run

# Kills servers and databases while they write, and fills their disks.
fire *arguments:
    tests/fire/run {{ arguments }}

# Fuzzes every target for so many seconds.
fuzz *arguments:
    tests/fuzz/run {{ arguments }}

# Runs the long tests.
nightly:
    .ci/nightly

# Runs everything that must pass before a change lands.
ci:
    .ci/run
