"""CRC-32C (Castagnoli, RFC 3720), which TFRecord files carry; numpy, since `zlib` has another polynomial.

A CRC without its initial and final complement is linear over GF(2): that of a chunk is the
exclusive or of what each byte adds by its position, and that of two chunks is the first
one's, moved on by the length of the second, exclusive or the second's.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

POLYNOMIAL = 0x82F63B78
CHUNK = 64
"""Bytes whose CRCs are looked up at once; its tables fit the processor's cache."""
MASK = 0xA282EAD8

Words = NDArray[np.uint32]


def masked_crc32c(data: bytes) -> int:
    """The CRC as TFRecord files have it: turned, and moved by a constant."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + MASK) & 0xFFFFFFFF


def crc32c(data: bytes) -> int:
    """The CRC-32C of some bytes: 0xE3069283 of ``b"123456789"``."""
    if len(data) < CHUNK:
        table, register = _byte_table().tolist(), 0xFFFFFFFF
        for byte in data:
            register = register >> 8 ^ table[(register ^ byte) & 255]
        return register ^ 0xFFFFFFFF
    return int(_register(data)) ^ 0xFFFFFFFF


def _register(data: bytes) -> np.uint32:
    chunks = -(-len(data) // CHUNK)
    padded = np.zeros((1 << (chunks - 1).bit_length(), CHUNK), np.uint8)  # zeros in front change nothing
    flat = padded.reshape(-1)
    flat[-len(data) :] = np.frombuffer(data, np.uint8)
    flat[-len(data) : len(flat) - len(data) + 4] ^= 255  # the initial complement
    positions = np.arange(CHUNK, dtype=np.int32) * 256
    registers = np.bitwise_xor.reduce(_chunk_tables()[padded + positions], axis=1)
    level = 0
    while len(registers) > 1:
        registers = _move(_shift_tables(level), registers[::2]) ^ registers[1::2]
        level += 1
    return registers[0]


@lru_cache
def _byte_table() -> Words:
    """(256,) the register after one byte."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, table >> 1 ^ np.uint32(POLYNOMIAL), table >> 1)
    return table


@lru_cache
def _chunk_tables() -> Words:
    """(64 * 256,) what byte b at place j adds to the register at the end of its chunk."""
    tables = [_byte_table()]
    for _ in range(CHUNK - 1):
        tables.append(tables[-1] >> 8 ^ _byte_table()[tables[-1] & 255])
    return np.concatenate(tables[::-1])


@lru_cache
def _shift_tables(level: int) -> Words:
    """(4, 256) the registers of each byte of a register, moved on by ``64 << level`` zeros."""
    if level:
        return _move(_shift_tables(level - 1), _shift_tables(level - 1))
    tables = np.stack([np.arange(256, dtype=np.uint32) << 8 * byte for byte in range(4)])
    for _ in range(CHUNK):
        tables = tables >> 8 ^ _byte_table()[tables & 255]
    return tables


def _move(tables: Words, registers: Words) -> Words:
    """Registers moved on by the zeros that the tables stand for."""
    moved = [tables[byte][registers >> 8 * byte & 255] for byte in range(4)]
    return moved[0] ^ moved[1] ^ moved[2] ^ moved[3]
