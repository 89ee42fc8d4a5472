/*
 * Stands between a process and its disk (LD_PRELOAD): lets writes and syncs fail as it is told, and notes what was synced, so that
 * a test can take away the rest, as a power cut would. See disk-shim.ts.
 *
 * DISK_SHIM names a directory. `rule` in it, while there is one, is one line `<write|sync> <errno> <part of the path>`. `journal` is appended to:
 * `synced <inode> <bytes>` for each sync that succeeded, `failed <write|sync> <path>` for each call that was let fail.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define FILES_MAX 4096

static struct { ino_t inode; off_t bytes; } synced[FILES_MAX];
static size_t synced_count = 0;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void note(const char *line) {
  const char *directory = getenv("DISK_SHIM");
  char path[4096];
  snprintf(path, sizeof path, "%s/journal", directory);
  int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
  if (fd < 0) return;
  syscall(SYS_write, fd, line, strlen(line));
  close(fd);
}

/* The error with which a call on this file is to fail; 0: none. */
static int ruled(const char *call, int fd, char *path, size_t size) {
  const char *directory = getenv("DISK_SHIM");
  if (directory == NULL) return 0;
  char name[4096], text[1024], wanted[16], part[512];
  int error = 0;
  snprintf(name, sizeof name, "%s/rule", directory);
  int rule = open(name, O_RDONLY | O_CLOEXEC);
  if (rule < 0) return 0;
  ssize_t bytes = read(rule, text, sizeof text - 1);
  close(rule);
  if (bytes <= 0) return 0;
  text[bytes] = 0;
  if (sscanf(text, "%15s %d %511s", wanted, &error, part) != 3 || strcmp(wanted, call) != 0) return 0;
  snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(name, path, size - 1);
  if (length <= 0) return 0;
  path[length] = 0;
  return path[0] == '/' && strstr(path, part) != NULL ? error : 0;
}

static void note_failed(const char *call, const char *path) {
  char line[4352];
  snprintf(line, sizeof line, "failed %s %s\n", call, path);
  note(line);
}

static off_t bytes_synced(ino_t inode) {
  for (size_t at = 0; at < synced_count; at += 1)
    if (synced[at].inode == inode) return synced[at].bytes;
  return 0;
}

static void remember(ino_t inode, off_t bytes) {
  size_t at = 0;
  while (at < synced_count && synced[at].inode != inode) at += 1;
  if (at == FILES_MAX) at = 0;
  synced[at].inode = inode;
  synced[at].bytes = bytes;
  if (at == synced_count) synced_count += 1;
}

static int sync_by(const char *name, int fd) {
  int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
  struct stat before;
  char path[4096];
  int isFile = getenv("DISK_SHIM") != NULL && fstat(fd, &before) == 0 && S_ISREG(before.st_mode);
  int error = isFile ? ruled("sync", fd, path, sizeof path) : 0;
  if (error != 0) {
    /* What a kernel could not write it forgets: the pages count as clean from then on. */
    pthread_mutex_lock(&lock);
    off_t kept = bytes_synced(before.st_ino);
    pthread_mutex_unlock(&lock);
    if (kept < before.st_size && ftruncate(fd, kept) != 0) abort();
    note_failed("sync", path);
    errno = error;
    return -1;
  }
  int result = real(fd);
  if (isFile && result == 0) {
    char line[128];
    pthread_mutex_lock(&lock);
    remember(before.st_ino, before.st_size);
    pthread_mutex_unlock(&lock);
    snprintf(line, sizeof line, "synced %lu %ld\n", (unsigned long)before.st_ino, (long)before.st_size);
    note(line);
  }
  return result;
}

int fsync(int fd) { return sync_by("fsync", fd); }
int fdatasync(int fd) { return sync_by("fdatasync", fd); }

#define FAIL_WRITE(fd)                                       \
  do {                                                       \
    char path[4096];                                         \
    int error = ruled("write", fd, path, sizeof path);       \
    if (error != 0) {                                        \
      note_failed("write", path);                            \
      errno = error;                                         \
      return -1;                                             \
    }                                                        \
  } while (0)

ssize_t write(int fd, const void *data, size_t bytes) {
  FAIL_WRITE(fd);
  return syscall(SYS_write, fd, data, bytes);
}

ssize_t pwrite(int fd, const void *data, size_t bytes, off_t at) {
  FAIL_WRITE(fd);
  return syscall(SYS_pwrite64, fd, data, bytes, at);
}

ssize_t pwrite64(int fd, const void *data, size_t bytes, off_t at) {
  FAIL_WRITE(fd);
  return syscall(SYS_pwrite64, fd, data, bytes, at);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  FAIL_WRITE(fd);
  return syscall(SYS_writev, fd, parts, count);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) {
  ssize_t (*real)(int, const struct iovec *, int, off_t) =
      (ssize_t (*)(int, const struct iovec *, int, off_t))dlsym(RTLD_NEXT, "pwritev");
  FAIL_WRITE(fd);
  return real(fd, parts, count, at);
}
