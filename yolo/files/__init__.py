"""Files near and far: written whole or not at all, downloaded, unpacked, shipped with the package."""
