"""Files: atomic writes, downloads, archives, remote storage, arrays, tables, files shipped with the package."""
