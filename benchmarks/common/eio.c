/* Makes reads below a folder fail with EIO at random, for LD_PRELOAD.

   FAULTS_ROOT    real path of the folder
   FAULTS_SWITCH  faults happen as long as this file exists
   FAULTS_LOG     one byte is appended for each fault
   FAULTS_ONE_IN  of how many reads one fails */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static const char *root, *toggle;
static unsigned long one_in;
static int log_fd = -1;

__attribute__((constructor)) static void start(void) {
  const char *log = getenv("FAULTS_LOG"), *rate = getenv("FAULTS_ONE_IN");
  root = getenv("FAULTS_ROOT");
  toggle = getenv("FAULTS_SWITCH");
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

static int fault(int fd) {
  char link[64], path[4096];
  if (!one_in || !root || !toggle || dice() % one_in) return 0;
  int kept = errno;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, path, sizeof path - 1);
  int hit = n > 0 && !strncmp(path, root, strlen(root)) && path[strlen(root)] == '/' && !access(toggle, F_OK);
  if (hit && log_fd >= 0 && write(log_fd, "x", 1) != 1) hit = 0;
  errno = hit ? EIO : kept;
  return hit;
}

#define WRAP(name, declared, passed)                                             \
  ssize_t name declared {                                                        \
    static ssize_t(*next) declared;                                              \
    if (!next) next = (ssize_t(*) declared)dlsym(RTLD_NEXT, #name);              \
    return fault(fd) ? -1 : next passed;                                         \
  }

WRAP(pread, (int fd, void *b, size_t n, off_t at), (fd, b, n, at))
WRAP(pread64, (int fd, void *b, size_t n, off64_t at), (fd, b, n, at))
WRAP(preadv, (int fd, const struct iovec *v, int n, off_t at), (fd, v, n, at))
WRAP(preadv64, (int fd, const struct iovec *v, int n, off64_t at), (fd, v, n, at))
WRAP(preadv2, (int fd, const struct iovec *v, int n, off_t at, int f), (fd, v, n, at, f))
WRAP(preadv64v2, (int fd, const struct iovec *v, int n, off64_t at, int f), (fd, v, n, at, f))
