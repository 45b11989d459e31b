// Shows the program that it is preloaded into other clocks than the system's: $POSTERN_CLOCK names a file with three 64-bit integers, which
// are seconds added to the wall clock, to the monotonic one and to the time since the boot, and may be changed at any time. (libfaketime
// does the same, but cannot be loaded beside jemalloc.) Thread-safety: any thread, from the first instruction on.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t* shifts;

__attribute__((constructor)) static void open_shifts(void) {
  const char* path = getenv("POSTERN_CLOCK");
  int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  void* mapped = mmap(NULL, 3 * sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);
  close(fd);
  if (mapped != MAP_FAILED) shifts = mapped;
}

int clock_gettime(clockid_t clock, struct timespec* time) {
  int failed = (int)syscall(SYS_clock_gettime, clock, time);
  if (failed != 0 || shifts == NULL) return failed;
  if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) time->tv_sec += shifts[0];
  if (clock == CLOCK_BOOTTIME) time->tv_sec += shifts[2];
  if (clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_COARSE) time->tv_sec += shifts[1];
  return 0;
}

int gettimeofday(struct timeval* restrict time, void* restrict zone) {
  (void)zone;
  struct timespec now;
  if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
  time->tv_sec = now.tv_sec;
  time->tv_usec = now.tv_nsec / 1000;
  return 0;
}

time_t time(time_t* result) {
  struct timespec now;
  if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
  if (result != NULL) *result = now.tv_sec;
  return now.tv_sec;
}
