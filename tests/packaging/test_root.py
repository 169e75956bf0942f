import re

from tests.packaging.sources import FOLDERS, ROOT, files

# Written in pieces, or this file would find itself.
MACHINE_PATHS = ["/" + name + "/" for name in ("root", "work", "tmp/w")]
REGISTRIES = [
    ".".join(name)
    for name in [
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("registry", "npmjs", "org"),
        ("deb", "debian", "org"),
        ("crates", "io"),
    ]
]
FOREIGN = re.compile("|".join(rf"(?<![\w.]){re.escape(text)}" for text in MACHINE_PATHS + REGISTRIES))
ENTRIES = 15
HIDDEN = {".ci", ".gitignore", ".pre-commit-config.yaml"}
"""The last two are looked for in the root, and nowhere else, by the tools that read them."""


def test_the_root_stays_small() -> None:
    entries = {path.parts[0] for path in files()}
    seen = {name for name in entries if not name.startswith(".")}

    assert len(seen) <= ENTRIES, f"{len(seen)} entries in the root: {sorted(seen)}"
    assert entries - seen == HIDDEN


def test_no_file_names_a_path_of_one_machine_or_a_registry() -> None:
    found = [
        f"{path}:{number}: {line.strip()}"
        for path in files()
        if not (ROOT / path).is_symlink()
        for number, line in enumerate((ROOT / path).read_text(errors="replace").splitlines(), start=1)
        if FOREIGN.search(line)
    ]

    assert found == []


def test_each_folder_is_linked_relatively_under_its_import_name() -> None:
    for folder in FOLDERS:
        link = ROOT / "coremachine" / folder
        assert link.is_symlink()
        assert str(link.readlink()) == f"../{folder}"
