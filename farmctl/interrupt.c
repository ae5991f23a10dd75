/* interrupt.c - see interrupt.h. */
#include "farmctl/interrupt.h"

#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t is_seen;

static void on_signal (int number)
{
    (void) number;
    is_seen = 1;
}

static void set_handler (void (*handler) (int))
{
    struct sigaction action = { .sa_handler = handler };        /* no SA_RESTART: waits must return */
    sigemptyset (&action.sa_mask);
    sigaction (SIGINT, &action, NULL);
    sigaction (SIGTERM, &action, NULL);
}

void interrupt_catch (void)
{
    set_handler (on_signal);
}

bool interrupt_seen (void)
{
    return is_seen;
}

void interrupt_release (void)
{
    is_seen = 0;
    set_handler (SIG_DFL);
}
