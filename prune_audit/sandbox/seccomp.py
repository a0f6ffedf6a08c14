"""Only system calls that computing needs: a filter in the kernel, written by hand, for x86_64 and aarch64.

What is not known to be needed is refused, and so is any call by the numbers of another architecture, which ends the
process. Refused calls fail; they do not kill, since libraries try some and go on without. What is newer than this list
is said not to exist, so that libraries take the older way. seccomp(2); the numbers are those of the kernel's
``unistd.h``.
"""

from __future__ import annotations

import errno
import os
import platform
import struct
from collections.abc import Callable, Iterator, Mapping
from ctypes import addressof, create_string_buffer
from dataclasses import dataclass
from typing import TypeAlias

from prune_audit.sandbox import system

Numbers: TypeAlias = Mapping[str, tuple[int | None, int | None]]
"""Of each call, its number on x86_64 and on aarch64; None where that has no such call."""

# fmt: off
# Free, whatever the arguments are.
_FREE: Numbers = {
    "read": (0, 63), "write": (1, 64), "readv": (19, 65), "writev": (20, 66), "pread64": (17, 67),
    "pwrite64": (18, 68), "preadv": (295, 69), "pwritev": (296, 70), "preadv2": (327, 286), "pwritev2": (328, 287),
    "close": (3, 57), "close_range": (436, 436), "lseek": (8, 62), "dup": (32, 23), "dup2": (33, None),
    "dup3": (292, 24), "flock": (73, 32), "fsync": (74, 82), "fdatasync": (75, 83), "ftruncate": (77, 46),
    "fallocate": (285, 47), "fadvise64": (221, 223), "readahead": (187, 213), "sendfile": (40, 71),
    "copy_file_range": (326, 285), "stat": (4, None), "lstat": (6, None), "fstat": (5, 80), "newfstatat": (262, 79),
    "statx": (332, 291), "statfs": (137, 43), "fstatfs": (138, 44), "access": (21, None), "faccessat": (269, 48),
    "faccessat2": (439, 439), "readlink": (89, None), "readlinkat": (267, 78), "getdents": (78, None),
    "getdents64": (217, 61), "getcwd": (79, 17), "umask": (95, 166), "mmap": (9, 222), "munmap": (11, 215),
    "mprotect": (10, 226), "mremap": (25, 216), "madvise": (28, 233), "mlock": (149, 228), "munlock": (150, 229),
    "msync": (26, 227), "brk": (12, 214), "membarrier": (324, 283), "mincore": (27, 232), "get_mempolicy": (239, 236),
    "set_mempolicy": (238, 237), "mbind": (237, 235), "futex": (202, 98), "futex_waitv": (449, 449),
    "set_robust_list": (273, 99), "get_robust_list": (274, 100), "rseq": (334, 293), "set_tid_address": (218, 96),
    "arch_prctl": (158, None), "exit": (60, 93), "exit_group": (231, 94), "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "sigaltstack": (131, 132), "rt_sigtimedwait": (128, 137),
    "rt_sigpending": (127, 136), "rt_sigsuspend": (130, 133), "pause": (34, None), "restart_syscall": (219, 128),
    "sched_yield": (24, 124), "sched_getaffinity": (204, 123), "sched_setaffinity": (203, 122),
    "sched_getparam": (143, 121), "sched_getscheduler": (145, 120), "sched_get_priority_max": (146, 125),
    "sched_get_priority_min": (147, 126), "getpriority": (140, 141), "getcpu": (309, 168), "nanosleep": (35, 101),
    "clock_nanosleep": (230, 115), "clock_gettime": (228, 113), "clock_getres": (229, 114), "gettimeofday": (96, 169),
    "time": (201, None), "times": (100, 153), "getrusage": (98, 165), "getrlimit": (97, 163), "sysinfo": (99, 179),
    "uname": (63, 160), "getpid": (39, 172), "gettid": (186, 178), "getppid": (110, 173), "getuid": (102, 174),
    "geteuid": (107, 175), "getgid": (104, 176), "getegid": (108, 177), "getresuid": (118, 148),
    "getresgid": (120, 150), "getgroups": (115, 158), "getpgrp": (111, None), "getpgid": (121, 155),
    "getsid": (124, 156), "poll": (7, None), "ppoll": (271, 73), "select": (23, None), "pselect6": (270, 72),
    "epoll_create": (213, None), "epoll_create1": (291, 20), "epoll_ctl": (233, 21), "epoll_wait": (232, None),
    "epoll_pwait": (281, 22), "epoll_pwait2": (441, 441), "eventfd": (284, None), "eventfd2": (290, 19),
    "pipe": (22, None), "pipe2": (293, 59), "timerfd_create": (283, 85), "timerfd_settime": (286, 86),
    "timerfd_gettime": (287, 87), "getrandom": (318, 278), "recvmsg": (47, 212), "recvfrom": (45, 207),
    "getsockname": (51, 204), "getsockopt": (55, 209),
}

# Free where something else keeps files from being written that must not be.
_ENTRIES: Numbers = {
    "mkdir": (83, None), "mkdirat": (258, 34), "unlink": (87, None), "unlinkat": (263, 35), "rmdir": (84, None),
    "rename": (82, None), "renameat": (264, 38), "renameat2": (316, 276),
}

# Allowed by their arguments.
_ASKED: Numbers = {
    "open": (2, None), "openat": (257, 56), "clone": (56, 220), "clone3": (435, 435), "prctl": (157, 167),
    "prlimit64": (302, 261), "ioctl": (16, 29), "kill": (62, 129), "tgkill": (234, 131), "fcntl": (72, 25),
}

# Forbidden where all else is allowed.
_FORBIDDEN: Numbers = {
    "execve": (59, 221), "execveat": (322, 281), "ptrace": (101, 117), "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271), "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53),
    "chown": (92, None), "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54), "utime": (132, None),
    "utimes": (235, None), "utimensat": (280, 88), "futimesat": (261, None), "setxattr": (188, 5),
    "lsetxattr": (189, 6), "fsetxattr": (190, 7), "removexattr": (197, 14), "lremovexattr": (198, 15),
    "fremovexattr": (199, 16), "link": (86, None), "linkat": (265, 37), "mount": (165, 40), "umount2": (166, 39),
    "pivot_root": (155, 41), "chroot": (161, 51), "setns": (308, 268), "unshare": (272, 97), "bpf": (321, 280),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "keyctl": (250, 219), "add_key": (248, 217),
    "request_key": (249, 218), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240), "tkill": (200, 130), "open_by_handle_at": (304, 265), "setrlimit": (160, 164),
    "socket": (41, 198),
}
# fmt: on
# From here on a number means the same everywhere, and older libraries do without the call.
_NEWER = 424
_CLONE_THREAD = 0x00010000
_OPENS_FOR_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
# PR_SET_NAME, PR_GET_NAME, PR_GET_DUMPABLE, PR_GET_NO_NEW_PRIVS, PR_GET_SECCOMP, PR_SET_VMA
_PRCTL = (15, 16, 3, 39, 21, 0x53564D41)
# TCGETS, FIONREAD, FIONBIO, FIOCLEX, FIONCLEX, TIOCGWINSZ: terminals are asked whether they are some, no more.
_IOCTL = (0x5401, 0x541B, 0x5421, 0x5451, 0x5450, 0x5413)
# F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_GETLK, F_SETLK, F_SETLKW, F_DUPFD_CLOEXEC, F_GET_SEALS, F_OFD_*
_FCNTL = (0, 1, 2, 3, 4, 5, 6, 7, 1030, 1034, 36, 37, 38)
_AF_UNIX = 1

# seccomp's answers, and the filter's instructions: load a word, jump if equal, at least or any bit is set, return.
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets of what it looks at
_MODE_FILTER = 2


@dataclass(frozen=True, slots=True)
class Architecture:
    """What the kernel calls it, and which of the `Numbers` are its own."""

    audit: int
    column: int


ARCHITECTURES = {"x86_64": Architecture(0xC000003E, 0), "aarch64": Architecture(0xC00000B7, 1)}

Step: TypeAlias = tuple[int, int, int, int]  # code, how far to jump if true, and if false, operand


def install(*, computes: bool, writes: bool) -> str:
    """Put the filter around this process and all that it starts; there is no way to take it off.

    What ``computes`` gets the calls that computing needs; else only what leads out of the process is forbidden.
    ``writes`` says that something else keeps files from being written where they must not; without it none is.

    Raises:
        OSError: the kernel has no filters, or the architecture is another.
    """
    machine = platform.machine()
    if machine not in ARCHITECTURES:
        raise OSError(errno.ENOTSUP, f"no filter is known for {machine}")
    steps = program(ARCHITECTURES[machine], os.getpid(), computes=computes, writes=writes)
    packed = create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
    header = create_string_buffer(struct.pack("@HxxxxxxQ", len(steps), addressof(packed)), 16)
    system.prctl(system.PR_SET_NO_NEW_PRIVS, 1)
    system.prctl(system.PR_SET_SECCOMP, _MODE_FILTER, header)
    return f"seccomp ({'calls that computing needs' if computes else 'no programs, no network'})"


def program(architecture: Architecture, pid: int, *, computes: bool, writes: bool) -> list[Step]:
    """The filter of a process ``pid``, as `install` has it."""

    def numbered(calls: Numbers) -> dict[str, int]:
        found = {name: each[architecture.column] for name, each in calls.items()}
        return {name: number for name, number in found.items() if number is not None}

    steps: list[Step] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, architecture.audit),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
    ]
    conditions = _conditions(pid) if computes else _forbidding(pid)
    for name, number in numbered({**_ASKED, "socket": _FORBIDDEN["socket"]}).items():
        if name in conditions:
            inner = conditions[name](writes)
            steps += [(_EQUAL, 0, len(inner), number), *inner]
    if computes:
        for number in numbered({**_FREE, **(_ENTRIES if writes else {})}).values():
            steps += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ALLOW)]
        steps += [
            (_AT_LEAST, 0, 1, _NEWER),
            (_RETURN, 0, 0, _ERRNO | errno.ENOSYS),
            (_RETURN, 0, 0, _ERRNO | errno.EPERM),
        ]
    else:
        for number in numbered(_FORBIDDEN).values():
            steps += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ERRNO | errno.EPERM)]
        steps.append((_RETURN, 0, 0, _ALLOW))
    return steps


Condition: TypeAlias = Callable[[bool], list[Step]]


def _conditions(pid: int) -> Mapping[str, Condition]:
    """What the arguments of the calls of ``_ASKED`` must be, of a process ``pid`` that computes."""
    refused = _ERRNO | errno.EPERM
    return {
        # A thread, not a process. `clone3` keeps its flags where a filter cannot see them.
        "clone": lambda _: [*_if_any(0, _CLONE_THREAD, _ALLOW, refused)],
        "clone3": lambda _: [(_RETURN, 0, 0, _ERRNO | errno.ENOSYS)],
        "open": lambda writes: _opening(1, writes),
        "openat": lambda writes: _opening(2, writes),
        "prctl": lambda _: _one_of(0, _PRCTL),
        "ioctl": lambda _: _one_of(1, _IOCTL),
        "fcntl": lambda _: _one_of(1, _FCNTL),
        "kill": lambda _: _one_of(0, (pid,)),
        "tgkill": lambda _: _one_of(0, (pid,)),
        # A limit is asked for, not set: both halves of the pointer to the new one are 0.
        "prlimit64": lambda _: [
            (_LOAD, 0, 0, _low(2)),
            (_EQUAL, 0, 2, 0),
            (_LOAD, 0, 0, _low(2) + 4),
            (_EQUAL, 1, 0, 0),
            (_RETURN, 0, 0, refused),
            (_RETURN, 0, 0, _ALLOW),
        ],
    }


def _forbidding(pid: int) -> Mapping[str, Condition]:
    """What the arguments must be where all is allowed but what leads out of the process ``pid``."""
    return {
        "kill": lambda _: _one_of(0, (pid,)),
        "tgkill": lambda _: _one_of(0, (pid,)),
        # Drivers talk to services of their own on the same machine.
        "socket": lambda _: _one_of(0, (_AF_UNIX,)),
    }


def _opening(argument: int, writes: bool) -> list[Step]:
    if writes:
        return [(_RETURN, 0, 0, _ALLOW)]
    return [*_if_any(argument, _OPENS_FOR_WRITING, _ERRNO | errno.EACCES, _ALLOW)]


def _if_any(argument: int, bits: int, then: int, otherwise: int) -> Iterator[Step]:
    """Answer ``then`` where the argument has any of the ``bits``."""
    yield (_LOAD, 0, 0, _low(argument))
    yield (_ANY_BIT, 0, 1, bits)
    yield (_RETURN, 0, 0, then)
    yield (_RETURN, 0, 0, otherwise)


def _one_of(argument: int, values: tuple[int, ...]) -> list[Step]:
    """Allow where the argument, as the kernel's int that it is, is one of the ``values``."""
    steps: list[Step] = [(_LOAD, 0, 0, _low(argument))]
    for value in values:
        steps += [(_EQUAL, 0, 1, value), (_RETURN, 0, 0, _ALLOW)]
    return [*steps, (_RETURN, 0, 0, _ERRNO | errno.EPERM)]


def _low(argument: int) -> int:
    """Where the lower half of an argument lies; both architectures are little-endian."""
    return _ARGUMENTS + 8 * argument
