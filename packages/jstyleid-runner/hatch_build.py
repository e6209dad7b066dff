"""At build time: `{version}` in the dependencies becomes the version that all packages share."""

from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class SameVersion(MetadataHookInterface):
    """Pins the other packages of this project to the version that is built."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Fill in `dependencies` from the list in the hook's own table in `pyproject.toml`."""
        metadata["dependencies"] = [
            each.replace("{version}", metadata["version"]) for each in self.config["dependencies"]]
