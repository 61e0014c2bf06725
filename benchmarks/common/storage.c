/* Makes reads below a folder fail with EIO at random, or slow as if nothing were in the page cache; for LD_PRELOAD.

   FAULTS_ROOT      real path of the folder
   FAULTS_SWITCH    this happens as long as this file exists
   FAULTS_LOG       one byte is appended for each read that fails or is slow
   FAULTS_ONE_IN    of how many reads one fails
   FAULTS_DELAY_MS  what every read takes; those that must not wait (RWF_NOWAIT) have nothing at hand */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static const char *root, *toggle;
static unsigned long one_in, delay;
static int log_fd = -1;

__attribute__((constructor)) static void start(void) {
  const char *log = getenv("FAULTS_LOG"), *rate = getenv("FAULTS_ONE_IN"), *wait = getenv("FAULTS_DELAY_MS");
  root = getenv("FAULTS_ROOT");
  toggle = getenv("FAULTS_SWITCH");
  delay = wait ? strtoul(wait, NULL, 10) : 0;
  one_in = rate ? strtoul(rate, NULL, 10) : 0;
  if (log) log_fd = open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

static unsigned long dice(void) { /* splitmix64 of the time and the thread: forks need no seed of their own */
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  unsigned long z = (unsigned long)now.tv_nsec + ((unsigned long)now.tv_sec << 30) + ((unsigned long)syscall(SYS_gettid) << 40);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9UL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebUL;
  return z ^ (z >> 31);
}

static int concerned(int fd) { /* whether it is a file below the folder, and the switch is on */
  char link[64], path[4096];
  if (!root || !toggle) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, path, sizeof path - 1);
  return n > 0 && !strncmp(path, root, strlen(root)) && path[strlen(root)] == '/' && !access(toggle, F_OK);
}

static int logged(void) { return log_fd < 0 || write(log_fd, "x", 1) == 1; }

static int fault(int fd, int flags) { /* 1 if the read has failed, with errno; it may just have taken its time */
  int kept = errno, failed = 0;
  if (delay && concerned(fd)) {
    struct timespec time = {(time_t)(delay / 1000), (long)(delay % 1000) * 1000000};
    failed = (flags & RWF_NOWAIT) != 0;
    kept = failed ? EAGAIN : kept;
    if (!failed && logged()) nanosleep(&time, NULL);
  } else if (one_in && dice() % one_in == 0 && concerned(fd) && logged()) {
    failed = 1;
    kept = EIO;
  }
  errno = kept;
  return failed;
}

#define WRAP(name, declared, passed, fd, flags)                                  \
  ssize_t name declared {                                                        \
    static ssize_t(*next) declared;                                              \
    if (!next) next = (ssize_t(*) declared)dlsym(RTLD_NEXT, #name);              \
    return fault(fd, flags) ? -1 : next passed;                                  \
  }

WRAP(pread, (int fd, void *b, size_t n, off_t at), (fd, b, n, at), fd, 0)
WRAP(pread64, (int fd, void *b, size_t n, off64_t at), (fd, b, n, at), fd, 0)
WRAP(preadv, (int fd, const struct iovec *v, int n, off_t at), (fd, v, n, at), fd, 0)
WRAP(preadv64, (int fd, const struct iovec *v, int n, off64_t at), (fd, v, n, at), fd, 0)
WRAP(preadv2, (int fd, const struct iovec *v, int n, off_t at, int f), (fd, v, n, at, f), fd, f)
WRAP(preadv64v2, (int fd, const struct iovec *v, int n, off64_t at, int f), (fd, v, n, at, f), fd, f)
WRAP(sendfile, (int to, int fd, off_t *at, size_t n), (to, fd, at, n), fd, 0)
WRAP(sendfile64, (int to, int fd, off64_t *at, size_t n), (to, fd, at, n), fd, 0)
