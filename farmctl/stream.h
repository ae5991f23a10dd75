/* stream.h - reads the files of a context that have to be read, and sends meanwhile what the coordinator has not of them: the bytes
 * are compressed and sent as they were read and hashed, and no file is opened twice. */
#ifndef FARM_STREAM_H
#define FARM_STREAM_H

#include "common/scan.h"
#include "farmctl/courier.h"

/* Where there is much to read; otherwise, and when the coordinator falls silent, what is not read by this is read by scan_content,
 * and sent by upload.h. Comes before scan_content. Errors are those of reading, and refusals. */
int stream_content (client_t *client, scan_t *scan, upload_stats_t *stats, err_t *err);

#endif
