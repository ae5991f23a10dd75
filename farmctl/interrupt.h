/* interrupt.h - SIGINT and SIGTERM, for verbs that have something to say before they end. */
#ifndef FARM_INTERRUPT_H
#define FARM_INTERRUPT_H

#include <stdbool.h>

/* From now on the two signals are only noted; before, they end farmctl at once. Waits of the client then return
 * ERR_INTERRUPTED. */
void interrupt_catch (void);
bool interrupt_seen (void);
/* The next one ends farmctl at once: for clean-up that could take long. */
void interrupt_release (void);

#endif
