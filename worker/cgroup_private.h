/* cgroup_private.h - what the files of cgroup.h share: cgroup.c has the sub-tree, cgroup_attempt.c the attempts' groups in it. */
#ifndef FARM_CGROUP_PRIVATE_H
#define FARM_CGROUP_PRIVATE_H

#include "worker/cgroup.h"

struct cgroups {
    char *mount, *own, *folder, *jobs;
    unsigned controllers;
    bool is_root;                   /* OWN is: processes there are in nobody's way */
};

int cgroup_write (const char *folder, const char *name, const char *text, err_t *err);
int cgroup_write_number (const char *folder, const char *name, int64_t number, err_t *err);
/* "" where there is none. The caller frees. */
char *cgroup_read (const char *folder, const char *name);

/* Give controllers to the groups below; returns which it has given, now or before. */
unsigned cgroup_give_controllers (const char *folder);

void cgroup_each_below (const char *folder, void (*each) (const char *folder));
/* Those that are empty, and the folder itself. */
void cgroup_remove_folders (const char *folder);

#endif
