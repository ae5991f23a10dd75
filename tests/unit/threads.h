/* threads.h - a process that gets no thread, for a while: each would need a stack that no address space has room for. */
#ifndef FARM_TESTS_THREADS_H
#define FARM_TESTS_THREADS_H

#include <pthread.h>

/* The size of stacks so far, in bytes. */
static inline size_t threads_forbid (void)
{
    pthread_attr_t attributes;
    size_t before;
    assert_int_equal (pthread_getattr_default_np (&attributes), 0);
    assert_int_equal (pthread_attr_getstacksize (&attributes, &before), 0);
    assert_int_equal (pthread_attr_setstacksize (&attributes, (size_t) 1 << 60), 0);
    assert_int_equal (pthread_setattr_default_np (&attributes), 0);
    pthread_attr_destroy (&attributes);
    return before;
}

static inline void threads_allow (size_t before)
{
    pthread_attr_t attributes;
    assert_int_equal (pthread_getattr_default_np (&attributes), 0);
    assert_int_equal (pthread_attr_setstacksize (&attributes, before), 0);
    assert_int_equal (pthread_setattr_default_np (&attributes), 0);
    pthread_attr_destroy (&attributes);
}

#endif
