/* sibling.h - programs of the package that are not called by hand. */
#ifndef FARM_SIBLING_H
#define FARM_SIBLING_H

/* The path of the program of that name: beside this one where it stands there, as after a build, else in the folder that the package was installed
 * to. The caller frees. */
char *sibling_path (const char *name, const char *libexec_folder);

#endif
