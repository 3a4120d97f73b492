"""Small trees of sources with one thing wrong in them."""

from pathlib import Path

ROOT = Path(__file__).parents[2]


def write(root: Path, files: dict[str, str]) -> Path:
    """A tree with these files, and `__init__.py` in every folder of `shared` and `services`."""
    for name, text in {"shared/x.py": "", "services/api/x.py": "", **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        for folder in path.relative_to(root).parents:
            if folder.parts and folder.parts[0] in {"shared", "services"}:
                (root / folder / "__init__.py").touch()
    return root
