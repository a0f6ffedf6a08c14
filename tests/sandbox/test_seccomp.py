"""The filter beside an interpreter of its instructions, written from the kernel's description of them."""

from __future__ import annotations

import errno
import platform
import struct

import pytest

from prune_audit.sandbox import seccomp
from prune_audit.sandbox.seccomp import ARCHITECTURES, Step, program

PID = 4711
ALLOWED, KILLED = 0x7FFF0000, 0x80000000
EPERM, EACCES, ENOSYS = (0x00050000 | code for code in (errno.EPERM, errno.EACCES, errno.ENOSYS))
# From the kernel's arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h.
NUMBERS = {
    "x86_64": {
        "read": 0, "openat": 257, "open": 2, "mmap": 9, "futex": 202, "socket": 41, "connect": 42, "sendto": 44,
        "execve": 59, "execveat": 322, "fork": 57, "vfork": 58, "clone": 56, "clone3": 435, "kill": 62, "tgkill": 234,
        "ptrace": 101, "prctl": 157, "prlimit64": 302, "ioctl": 16, "fcntl": 72, "chmod": 90, "fchmodat": 268,
        "utimensat": 280, "unlinkat": 263, "io_uring_setup": 425, "openat2": 437, "process_vm_readv": 310,
        "unshare": 272, "mount": 165, "bpf": 321, "exit_group": 231, "sched_setaffinity": 203,
    },
    "aarch64": {
        "read": 63, "openat": 56, "mmap": 222, "futex": 98, "socket": 198, "connect": 203, "sendto": 206,
        "execve": 221, "execveat": 281, "clone": 220, "clone3": 435, "kill": 129, "tgkill": 131, "ptrace": 117,
        "prctl": 167, "prlimit64": 261, "ioctl": 29, "fcntl": 25, "fchmodat": 53, "utimensat": 88, "unlinkat": 35,
        "io_uring_setup": 425, "openat2": 437, "process_vm_readv": 270, "unshare": 97, "mount": 40, "bpf": 280,
        "exit_group": 94, "sched_setaffinity": 122,
    },
}  # fmt: skip
AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
O_RDONLY, O_WRONLY, O_CREAT = 0, 1, 0o100
CLONE_THREAD, CLONE_VM = 0x10000, 0x100


def answer(steps: list[Step], number: int, audit: int, *arguments: int) -> int:
    """What the filter says to a call."""
    data = struct.pack("<IIQ6Q", number, audit, 0, *arguments, *[0] * (6 - len(arguments)))
    at, word = 0, 0
    while True:
        code, yes, no, operand = steps[at]
        at += 1
        match code:
            case 0x20:
                (word,) = struct.unpack_from("<I", data, operand)
            case 0x15:
                at += yes if word == operand else no
            case 0x35:
                at += yes if word >= operand else no
            case 0x45:
                at += yes if word & operand else no
            case 0x06:
                return operand
            case _:
                raise AssertionError(f"no instruction {code:#x}")


@pytest.fixture(params=ARCHITECTURES)
def machine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def says(machine: str, name: str, *arguments: int, computes: bool = True, writes: bool = True) -> int:
    steps = program(ARCHITECTURES[machine], PID, computes=computes, writes=writes)
    return answer(steps, NUMBERS[machine][name], AUDIT[machine], *arguments)


def test_what_computing_needs_is_allowed(machine: str) -> None:
    for name in ("read", "mmap", "futex", "exit_group", "unlinkat", "sched_setaffinity"):
        assert says(machine, name) == ALLOWED, name


def test_what_leads_out_is_refused(machine: str) -> None:
    refused = ("socket", "connect", "sendto", "execve", "execveat", "fork", "vfork", "ptrace", "chmod", "fchmodat")
    for name in (*refused, "utimensat", "process_vm_readv", "unshare", "mount", "bpf"):
        if name in NUMBERS[machine]:
            assert says(machine, name) == EPERM, name


def test_what_is_newer_does_not_exist(machine: str) -> None:
    for name in ("clone3", "io_uring_setup", "openat2"):
        assert says(machine, name) == ENOSYS, name


def test_numbers_of_other_architectures_end_the_process(machine: str) -> None:
    steps = program(ARCHITECTURES[machine], PID, computes=True, writes=True)
    i386 = 0x40000003
    assert answer(steps, NUMBERS[machine]["read"], i386) == KILLED
    x32 = 0x40000000
    assert answer(steps, x32 + NUMBERS[machine]["read"], AUDIT[machine]) in (EPERM, ENOSYS)


def test_threads_are_made_and_processes_are_not(machine: str) -> None:
    assert says(machine, "clone", CLONE_VM | CLONE_THREAD) == ALLOWED
    assert says(machine, "clone", CLONE_VM) == EPERM
    assert says(machine, "clone", 17) == EPERM  # as fork does: SIGCHLD


def test_files_are_opened_for_writing_where_something_else_says_which(machine: str) -> None:
    for flags, without in ((O_RDONLY, ALLOWED), (O_WRONLY, EACCES), (O_CREAT, EACCES), (2, EACCES), (0o1000, EACCES)):
        assert says(machine, "openat", 0, 0, flags) == ALLOWED
        assert says(machine, "openat", 0, 0, flags, writes=False) == without
    assert says(machine, "unlinkat", writes=False) == EPERM
    if "open" in NUMBERS[machine]:
        assert says(machine, "open", 0, O_WRONLY, writes=False) == EACCES


def test_signals_reach_the_process_alone(machine: str) -> None:
    for name in ("kill", "tgkill"):
        assert says(machine, name, PID) == ALLOWED
        assert says(machine, name, 1) == EPERM
        assert says(machine, name, 0xFFFFFFFF) == EPERM  # -1: everybody


def test_limits_are_asked_for_and_not_set(machine: str) -> None:
    assert says(machine, "prlimit64", 0, 9, 0, 1 << 40) == ALLOWED
    assert says(machine, "prlimit64", 0, 9, 1 << 40) == EPERM  # only the upper half differs from 0
    assert says(machine, "prlimit64", 0, 9, 8) == EPERM


def test_of_calls_with_many_uses_the_harmless_are_allowed(machine: str) -> None:
    assert says(machine, "prctl", 15) == ALLOWED  # PR_SET_NAME
    assert says(machine, "prctl", 22) == EPERM  # PR_SET_SECCOMP
    assert says(machine, "ioctl", 0, 0x5401) == ALLOWED  # TCGETS
    assert says(machine, "ioctl", 0, 0x5412) == EPERM  # TIOCSTI types on a terminal
    assert says(machine, "fcntl", 0, 3) == ALLOWED  # F_GETFL
    assert says(machine, "fcntl", 0, 8) == EPERM  # F_SETOWN sends signals


def test_for_a_device_only_what_leads_out_is_refused(machine: str) -> None:
    for name in ("execve", "execveat", "ptrace", "fchmodat", "utimensat", "process_vm_readv", "unshare", "bpf"):
        assert says(machine, name, computes=False) == EPERM, name
    assert says(machine, "socket", 2, computes=False) == EPERM  # AF_INET
    assert says(machine, "socket", 16, computes=False) == EPERM  # AF_NETLINK
    assert says(machine, "socket", 1, computes=False) == ALLOWED  # AF_UNIX
    assert says(machine, "kill", 1, computes=False) == EPERM
    assert says(machine, "ioctl", 0, 0x4601, computes=False) == ALLOWED
    assert says(machine, "clone3", computes=False) == ALLOWED


def test_jumps_reach(machine: str) -> None:
    for computes in (True, False):
        steps = program(ARCHITECTURES[machine], PID, computes=computes, writes=True)
        assert len(steps) <= 4096  # what the kernel takes
        for at, (_, yes, no, operand) in enumerate(steps):
            assert 0 <= max(yes, no) <= 255
            assert at + 1 + max(yes, no) < len(steps) or steps[at][0] == 0x06
            assert 0 <= operand < 1 << 32


def test_another_machine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(OSError, match="no filter is known for riscv64"):
        seccomp.install(computes=True, writes=True)
