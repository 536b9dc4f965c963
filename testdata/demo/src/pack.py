"""pack.py: the small packers that build.sh needs: C header, U-Boot environment, newc archive, flash image."""
import os
import struct
import sys
import zlib

TIME = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))


def header(name, path):
    data = open(path, "rb").read()
    return ("static const unsigned char %s[] = {%s};\n" % (name, ", ".join(map(str, data)))).encode()


def env(size, path):
    """CRC-32, little endian, then NUL-separated settings, padded to the size of the sector."""
    body = b"".join(line.rstrip(b"\n") + b"\0" for line in open(path, "rb")) + b"\0"
    body = body.ljust(int(size) - 4, b"\0")
    return struct.pack("<I", zlib.crc32(body)) + body


def member(ino, name, mode, data, rdev=(0, 0)):
    f = (ino, mode, 0, 0, 1, TIME, len(data), 0, 0, rdev[0], rdev[1], len(name) + 1, 0)
    out = b"070701" + b"".join(b"%08X" % v for v in f) + name.encode() + b"\0"
    out += b"\0" * (-len(out) % 4) + data
    return out + b"\0" * (-len(out) % 4)


def cpio(root):
    """newc, sorted, owned by root, with a console device."""
    names = []
    for folder, dirs, files in os.walk(root):
        dirs.sort()
        names += [os.path.relpath(os.path.join(folder, n), root) for n in dirs + files]
    out, ino = b"", 1
    for name in sorted(names):
        path = os.path.join(root, name)
        st = os.lstat(path)
        if os.path.islink(path):
            out += member(ino, name, 0o120777, os.readlink(path).encode())
        elif os.path.isdir(path):
            out += member(ino, name, st.st_mode, b"")
        else:
            mode = 0o100600 if name == "etc/shadow" else st.st_mode
            out += member(ino, name, mode, open(path, "rb").read())
        ino += 1
    out += member(ino, "dev/console", 0o020600, b"", (5, 1))
    out += member(0, "TRAILER!!!", 0, b"")
    return out + b"\0" * (-len(out) % 512)


def flash(size, *parts):
    """START:LENGTH:FILE each; what no file fills is 0xff."""
    out = bytearray(b"\xff" * int(size))
    for part in parts:
        start, length, path = part.split(":", 2)
        data = open(path, "rb").read()
        if len(data) > int(length, 16):
            sys.exit("pack.py: %s has %d bytes, its partition %d" % (path, len(data), int(length, 16)))
        at = int(start, 16)
        out[at:at + len(data)] = data
    return bytes(out)


def lzma_size(path, raw):
    """Write the true size into the header of an .lzma file, as boot loaders want it."""
    data = bytearray(open(path, "rb").read())
    data[5:13] = struct.pack("<Q", os.path.getsize(raw))
    open(path, "wb").write(data)
    return b""


if __name__ == "__main__":
    kinds = {"header": header, "env": env, "cpio": cpio, "flash": flash, "lzma-size": lzma_size}
    sys.stdout.buffer.write(kinds[sys.argv[1]](*sys.argv[2:]))
