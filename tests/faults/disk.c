/* A disk that fails when told to, and one that forgets in a power cut what was not fsynced. For LD_PRELOAD.
 *
 * DISK_FOLDER   the folder whose files are on that disk
 * DISK_STATE    a file that says how it is: absent (well), "full", "readonly" or "broken" (fsync fails)
 * DISK_JOURNAL  a folder for what a power cut takes back (powercut.py does); none: nothing is written down
 * DISK_BOOT_ID  a file that stands in for /proc/sys/kernel/random/boot_id
 *
 * The journal has, by inode number:
 *   N.undo   "path\n", then for each write since the last fsync: offset, size of the file before, count, the count
 *            bytes that stood there (three native 64-bit numbers and the bytes)
 *   N.new    path of a file whose folder was not fsynced since it was made
 *   N.gone   a hard link to a file that was deleted since, N.gone.path its path
 *
 * Writes through mmap are not seen; SQLite maps only its -shm file, which it rebuilds.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))real(#name))
#define NAME_SIZE (PATH_MAX + 64)

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

static int is_ours(const char *path) {
    const char *folder = getenv("DISK_FOLDER");
    size_t length = folder ? strlen(folder) : 0, all = strlen(path);
    if (!length || strncmp(path, folder, length) || (path[length] && path[length] != '/')) return 0;
    return !(all > 4 && !strcmp(path + all - 4, "-shm"));
}

static int path_of(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    path[length > 0 ? length : 0] = 0;
    return length > 0 && is_ours(path);
}

static int state_is(const char *wanted) {
    char text[16] = "";
    const char *file = getenv("DISK_STATE");
    int fd = file ? REAL(open)(file, O_RDONLY) : -1;
    if (fd < 0) return 0;
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    return length > 0 && !strncmp(text, wanted, strlen(wanted));
}

/* The journal. */

static int entry(char *name, ino_t inode, const char *kind) {
    const char *folder = getenv("DISK_JOURNAL");
    if (folder) snprintf(name, NAME_SIZE, "%s/%lu.%s", folder, (unsigned long)inode, kind);
    return folder != NULL;
}

static void note(const char *name, const char *text) {
    int fd = REAL(open)(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || REAL(write)(fd, text, strlen(text)) < 0) abort();
    close(fd);
}

/* Keep what stands at [offset, offset + count) before it changes. */
static void keep(int fd, const char *path, off_t offset, size_t count) {
    char name[NAME_SIZE];
    struct stat file;
    if (fstat(fd, &file) || !entry(name, file.st_ino, "undo")) return;
    pthread_mutex_lock(&mutex);
    int journal = REAL(open)(name, O_WRONLY | O_APPEND);
    if (journal < 0) {
        char first[PATH_MAX + 1];
        snprintf(first, sizeof first, "%s\n", path);
        note(name, first);
        journal = REAL(open)(name, O_WRONLY | O_APPEND);
    }
    char *record = malloc(24 + count);
    ssize_t held = pread(fd, record + 24, count, offset);
    uint64_t head[3] = {(uint64_t)offset, (uint64_t)file.st_size, (uint64_t)(held > 0 ? held : 0)};
    memcpy(record, head, 24);
    /* In one write, so that a kill leaves either all of it or none. */
    if (REAL(write)(journal, record, 24 + head[2]) < 0) abort();
    free(record);
    close(journal);
    pthread_mutex_unlock(&mutex);
}

/* A folder was fsynced: what was made or deleted in it stays so. */
static void settle_folder(const char *path) {
    char name[NAME_SIZE], text[PATH_MAX];
    struct dirent *one;
    DIR *journal = opendir(getenv("DISK_JOURNAL"));
    if (!journal) return;
    while ((one = readdir(journal))) {
        char *kind = strchr(one->d_name, '.');
        if (!kind || (strcmp(kind, ".new") && strcmp(kind, ".gone.path"))) continue;
        snprintf(name, sizeof name, "%s/%s", getenv("DISK_JOURNAL"), one->d_name);
        int fd = REAL(open)(name, O_RDONLY);
        ssize_t length = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
        if (fd >= 0) close(fd);
        text[length > 0 ? length : 0] = 0;
        char *slash = strrchr(text, '/');
        if (!slash || strncmp(text, path, slash - text) || path[slash - text]) continue;
        REAL(unlink)(name);
        if (!strcmp(kind, ".gone.path")) {
            name[strlen(name) - 5] = 0;
            REAL(unlink)(name);
        }
    }
    closedir(journal);
}

static int synced(int fd) {
    char path[PATH_MAX], name[NAME_SIZE];
    struct stat file;
    if (!path_of(fd, path) || fstat(fd, &file)) return 0;
    if (state_is("broken")) {
        errno = EIO;
        return -1;
    }
    if (!entry(name, file.st_ino, "undo")) return 0;
    pthread_mutex_lock(&mutex);
    if (S_ISDIR(file.st_mode)) settle_folder(path);
    else REAL(unlink)(name);
    pthread_mutex_unlock(&mutex);
    return 0;
}

/* What SQLite and Python call. */

static int refused(const char *path, int fd, off_t end) {
    struct stat file;
    if (state_is("readonly")) return errno = EROFS, 1;
    if (!state_is("full")) return 0;
    if (fd >= 0 && !fstat(fd, &file) && end <= file.st_size) return 0; /* its blocks are there already */
    (void)path;
    return errno = ENOSPC, 1;
}

ssize_t pwrite64(int fd, const void *data, size_t count, off64_t offset) {
    char path[PATH_MAX];
    if (path_of(fd, path)) {
        if (refused(path, fd, offset + (off64_t)count)) return -1;
        keep(fd, path, offset, count);
    }
    return REAL(pwrite64)(fd, data, count, offset);
}

ssize_t pwrite(int fd, const void *data, size_t count, off_t offset) { return pwrite64(fd, data, count, offset); }

ssize_t write(int fd, const void *data, size_t count) {
    char path[PATH_MAX];
    struct stat file;
    if (!fstat(fd, &file) && S_ISREG(file.st_mode) && path_of(fd, path)) {
        off_t offset = fcntl(fd, F_GETFL) & O_APPEND ? file.st_size : lseek(fd, 0, SEEK_CUR);
        if (refused(path, fd, offset + (off_t)count)) return -1;
        keep(fd, path, offset, count);
    }
    return REAL(write)(fd, data, count);
}

int ftruncate64(int fd, off64_t length) {
    char path[PATH_MAX];
    struct stat file;
    if (path_of(fd, path) && !fstat(fd, &file)) {
        if (refused(path, fd, length)) return -1;
        keep(fd, path, length, file.st_size > length ? (size_t)(file.st_size - length) : 0);
    }
    return REAL(ftruncate64)(fd, length);
}

int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

/* The machine stays up, so nothing needs to reach the real disk. */
int fsync(int fd) { return synced(fd); }
int fdatasync(int fd) { return synced(fd); }

int unlink(const char *path) {
    char name[NAME_SIZE];
    struct stat file;
    if (is_ours(path) && !stat(path, &file)) {
        if (state_is("readonly")) return errno = EROFS, -1;
        if (entry(name, file.st_ino, "new") && REAL(unlink)(name)) { /* it has been on the disk */
            entry(name, file.st_ino, "gone");
            if (!link(path, name)) note(strcat(name, ".path"), path);
        }
    }
    return REAL(unlink)(path);
}

static int opened(const char *path, int flags, mode_t mode) {
    const char *boot_id = getenv("DISK_BOOT_ID");
    char name[NAME_SIZE], whole[PATH_MAX];
    struct stat file;
    if (boot_id && !strcmp(path, "/proc/sys/kernel/random/boot_id")) path = boot_id;
    if (!is_ours(path)) return REAL(open64)(path, flags, mode);
    int made = (flags & O_CREAT) && stat(path, &file);
    if ((flags & O_ACCMODE) != O_RDONLY && state_is("readonly")) return errno = EROFS, -1;
    if (made && state_is("full")) return errno = ENOSPC, -1;
    int fd = REAL(open64)(path, flags, mode);
    if (fd >= 0 && made && path_of(fd, whole) && !fstat(fd, &file) && entry(name, file.st_ino, "new"))
        note(name, whole);
    return fd;
}

#define MODE_OF(flags) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | O_TMPFILE)) { \
        va_list rest; \
        va_start(rest, flags); \
        mode = va_arg(rest, mode_t); \
        va_end(rest); \
    }

int open64(const char *path, int flags, ...) {
    MODE_OF(flags)
    return opened(path, flags, mode);
}

int open(const char *path, int flags, ...) {
    MODE_OF(flags)
    return opened(path, flags, mode);
}
