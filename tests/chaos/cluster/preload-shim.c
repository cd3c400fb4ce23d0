/*
 * Preloaded into a node's process: makes its syncs slow or failing, its wall clock wrong, and journals what a sync has made safe, so that a loss of
 * power can be played on the files after a kill.
 *
 * NARU_CHAOS_CONTROL  a file of three 32-bit numbers: 1 = every sync fails with EIO; milliseconds that a sync takes longer; milliseconds
 *                     that the wall clock goes ahead. The monotonic clock is the machine's
 * NARU_CHAOS_JOURNAL  lines "S inode size" (a file is safe up to this size), "R number inode from TAB to" (a rename; what stood at `to`, if
 *                     anything, is kept as JOURNAL.number), "U number inode path" (a removal; kept in the same way), "D path" (a directory was
 *                     synced)
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct control {
  volatile int32_t fails;
  volatile int32_t delay_ms;
  volatile int32_t clock_ahead_ms;
};

static struct control *control;
static int journal = -1;
static int undo_count;
static char journal_path[4096];

__attribute__((constructor)) static void set_up(void) {
  const char *control_path = getenv("NARU_CHAOS_CONTROL");
  const char *path = getenv("NARU_CHAOS_JOURNAL");
  if (control_path != NULL) {
    int fd = open(control_path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
      void *page = mmap(NULL, sizeof(struct control), PROT_READ, MAP_SHARED, fd, 0);
      if (page != MAP_FAILED) control = page;
      close(fd);
    }
  }
  if (path != NULL) {
    snprintf(journal_path, sizeof journal_path, "%s", path);
    journal = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  }
}

static void note(const char *line, int length) {
  if (journal >= 0 && length > 0 && write(journal, line, (size_t)length) < 0) abort();
}

static int sync_through(int fd, int (*real)(int)) {
  struct stat before;
  /* Taken first: what is appended while the sync runs is not covered by it. */
  int known = fstat(fd, &before) == 0;
  if (control != NULL && control->delay_ms > 0) {
    struct timespec wait = {control->delay_ms / 1000, (control->delay_ms % 1000) * 1000000L};
    nanosleep(&wait, NULL);
  }
  if (control != NULL && control->fails) {
    errno = EIO;
    return -1;
  }
  int result = real(fd);
  int saved = errno;
  if (result == 0 && known) {
    char line[4200];
    if (S_ISDIR(before.st_mode)) {
      char link[64], path[4096];
      snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
      ssize_t length = readlink(link, path, sizeof path - 1);
      if (length > 0) note(line, snprintf(line, sizeof line, "D %.*s\n", (int)length, path));
    } else if (S_ISREG(before.st_mode)) {
      note(line, snprintf(line, sizeof line, "S %llu %lld\n", (unsigned long long)before.st_ino, (long long)before.st_size));
    }
  }
  errno = saved;
  return result;
}

int fsync(int fd) {
  static int (*real)(int);
  if (real == NULL) real = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
  return sync_through(fd, real);
}

int fdatasync(int fd) {
  static int (*real)(int);
  if (real == NULL) real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
  return sync_through(fd, real);
}

/* Another name for what is about to go; its number, or "-" when there is nothing to keep. */
static const char *keep(const char *path, char *kept, size_t size) {
  int number = __atomic_add_fetch(&undo_count, 1, __ATOMIC_SEQ_CST);
  snprintf(kept, size, "%s.%d-%d", journal_path, (int)getpid(), number);
  return link(path, kept) == 0 ? strrchr(kept, '.') + 1 : "-";
}

int rename(const char *from, const char *to) {
  static int (*real)(const char *, const char *);
  if (real == NULL) real = (int (*)(const char *, const char *))dlsym(RTLD_NEXT, "rename");
  struct stat moved;
  char kept[4200], source[4096], target[4096], line[9000];
  if (journal < 0 || stat(from, &moved) != 0 || !S_ISREG(moved.st_mode)) return real(from, to);
  if (realpath(from, source) == NULL) return real(from, to);
  const char *number = keep(to, kept, sizeof kept);
  int result = real(from, to);
  int saved = errno;
  if (result == 0 && realpath(to, target) != NULL) {
    note(line, snprintf(line, sizeof line, "R %s %llu %s\t%s\n", number, (unsigned long long)moved.st_ino, source, target));
  }
  errno = saved;
  return result;
}

int unlink(const char *path) {
  static int (*real)(const char *);
  if (real == NULL) real = (int (*)(const char *))dlsym(RTLD_NEXT, "unlink");
  struct stat gone;
  char kept[4200], target[4096], line[9000];
  if (journal < 0 || lstat(path, &gone) != 0 || !S_ISREG(gone.st_mode) || realpath(path, target) == NULL) return real(path);
  const char *number = keep(path, kept, sizeof kept);
  int result = real(path);
  int saved = errno;
  if (result == 0) note(line, snprintf(line, sizeof line, "U %s %llu %s\n", number, (unsigned long long)gone.st_ino, target));
  errno = saved;
  return result;
}

static int64_t ahead_ns(void) {
  return control == NULL ? 0 : (int64_t)control->clock_ahead_ms * 1000000;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  static int (*real)(clockid_t, struct timespec *);
  if (real == NULL) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
  int result = real(clock, now);
  if (result != 0 || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)) return result;
  int64_t ns = (int64_t)now->tv_sec * 1000000000 + now->tv_nsec + ahead_ns();
  now->tv_sec = ns / 1000000000;
  now->tv_nsec = ns % 1000000000;
  return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  (void)zone;
  struct timespec precise;
  int result = clock_gettime(CLOCK_REALTIME, &precise);
  now->tv_sec = precise.tv_sec;
  now->tv_usec = precise.tv_nsec / 1000;
  return result;
}

time_t time(time_t *also) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (also != NULL) *also = now.tv_sec;
  return now.tv_sec;
}
