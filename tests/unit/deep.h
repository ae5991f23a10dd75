/* deep.h - folders in folders without end, as a build may make them, and a thread that has neither the descriptors nor the stack to enter each. */
#ifndef FARM_TESTS_DEEP_H
#define FARM_TESTS_DEEP_H

#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEEP_LEVELS = 20000, DEEP_FILES = 64, DEEP_STACK = 256 * 1024 };

/* So many folders "d", one in the other, in an open one. Returns the last. */
static inline int deep_make (int folder, int levels, mode_t mode)
{
    int at = fcntl (folder, F_DUPFD_CLOEXEC, 0);
    for (int i = 0; i < levels; i++) {
        assert_int_equal (mkdirat (at, "d", 0700), 0);
        int below = openat (at, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true (below >= 0);
        if (mode != 0700 && i > 0)
            assert_int_equal (fchmod (at, mode), 0);
        close (at);
        at = below;
    }
    return at;
}

static inline void deep_make_in (const char *folder, int levels)
{
    int fd = open (folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true (fd >= 0);
    close (deep_make (fd, levels, 0700));
    close (fd);
}

/* Also of the threads that it starts. */
static inline void deep_run (void *(*work) (void *), void *argument)
{
    struct rlimit before;
    pthread_attr_t old, narrow;
    pthread_t thread;
    assert_int_equal (getrlimit (RLIMIT_NOFILE, &before), 0);
    assert_int_equal (setrlimit (RLIMIT_NOFILE, &(struct rlimit) { DEEP_FILES, before.rlim_max }), 0);
    assert_int_equal (pthread_getattr_default_np (&old), 0);
    assert_int_equal (pthread_getattr_default_np (&narrow), 0);
    assert_int_equal (pthread_attr_setstacksize (&narrow, DEEP_STACK), 0);
    assert_int_equal (pthread_setattr_default_np (&narrow), 0);
    int rc = pthread_create (&thread, NULL, work, argument);
    if (rc == 0)
        pthread_join (thread, NULL);
    assert_int_equal (pthread_setattr_default_np (&old), 0);
    assert_int_equal (setrlimit (RLIMIT_NOFILE, &before), 0);
    pthread_attr_destroy (&old);
    pthread_attr_destroy (&narrow);
    assert_int_equal (rc, 0);
}

#endif
