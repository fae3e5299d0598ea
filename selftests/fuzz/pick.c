// SPDX-License-Identifier: GPL-2.0-only
/* What the arguments of an operation choose: a descriptor, an id, a range of a file. */
#include "fuzz.h"

static const uint64_t edges[] = {
	0, 1, 2, 3, 7, 8, 63, 255, 2047, 2048, 4095, 4096, 4097, 65535, 65536, 1 << 20,
	0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 1ULL << 40, (1ULL << 40) + 1,
	0x7ffffffffffff000, 0x7fffffffffffffff, 0x8000000000000000, 0xffffffffffffffff,
};

uint64_t fz_edge(uint32_t r)
{
	return edges[r % (sizeof(edges) / sizeof(edges[0]))];
}

static int any_odd(uint32_t r)
{
	switch (r % 24) {
	case 0:
		return -1;
	case 1:
		return 0x7fffffff;
	case 2:
		return 1023;
	case 3:
		return FD_CTX + r / 24 % FZ_CTXS;
	case 4:
		return FD_TX + r / 24 % FZ_SOCKS;
	case 5:
		return FD_RX + r / 24 % FZ_SOCKS;
	case 6:
		return FD_FILE + r / 24 % FZ_FILES;
	default:
		return FD_ODD + r / 24 % FZ_ODDS;
	}
}

/* Most operations are on the first context. */
int fz_slot_of(uint32_t arg)
{
	static const uint8_t slots[8] = { 0, 0, 0, 0, 0, 1, 2, 3 };

	return slots[arg % 8];
}

struct fz_target fz_ctx_of(uint32_t arg)
{
	struct fz_target t = { .slot = fz_slot_of(arg) };

	/* Mostly one that is open. */
	if (fz->ctx[t.slot].inst < 0 && (arg >> 8) % 8)
		t.slot = 0;
	t.fd = FD_CTX + t.slot;
	if ((arg >> 16) % 64 == 1) {
		t.fd = any_odd(arg >> 22);
		t.slot = t.fd - FD_CTX;
	}
	if (t.slot < 0 || t.slot >= FZ_CTXS)
		return (struct fz_target) { .fd = t.fd, .slot = -1, .inst = -1 };
	t.gen = fz->ctx[t.slot].gen;
	t.inst = fz->ctx[t.slot].inst;
	return t;
}

int fz_sock_of(uint32_t arg)
{
	unsigned int sock = arg % FZ_SOCKS, i;

	if ((arg >> 16) % 16 == 1)
		return any_odd(arg >> 20);
	/* Mostly one that is connected. */
	for (i = 0; i < FZ_SOCKS && (arg >> 8) % 8 && !fz->rx[sock].live; i++)
		sock = (sock + 1) % FZ_SOCKS;
	return FD_TX + sock;
}

int fz_file_of(uint32_t arg)
{
	if ((arg >> 16) % 24 == 1)
		return any_odd(arg >> 20);
	return FD_FILE + arg % FZ_FILES;
}

/* A link of the context, mostly one that is there. */
uint32_t fz_link_of(const struct fz_target *t, uint32_t r)
{
	uint32_t id = 0;

	if (t->inst >= 0 && r % 16) {
		struct fz_inst *inst = &fz->inst[t->inst];
		uint32_t nr = inst->next_link;

		if (nr > FZ_LINKS)
			nr = FZ_LINKS;
		if (nr)
			id = inst->links[r / 16 % nr].id;
	}
	return id ? id : (r % 16 < 4 ? r / 16 : r / 16 % 6);
}

uint64_t fz_job_of(uint32_t r)
{
	uint32_t nr = fz->nr_recent < 64 ? fz->nr_recent : 64;

	switch (r % 16) {
	case 0:
		return fz_edge(r / 16);
	case 1:
		/* One that is being submitted, perhaps. */
		return fz->last_id + r / 16 % 4;
	default:
		return nr ? fz->recent[r / 16 % nr] : r / 16 % 4;
	}
}

/* Offset and length, mostly within the file, mostly at edges. */
void fz_range_of(uint64_t *rng, int fd, uint64_t *off, uint64_t *len)
{
	uint64_t size = fd >= FD_FILE && fd < FD_FILE + FZ_FILES ?
			fz_file_size(fd - FD_FILE) : 4096;
	uint64_t r = fz_random(rng);

	if (!size)
		size = 1;
	switch (r % 16) {
	case 0:
		*off = fz_edge(r >> 8);
		*len = fz_edge(r >> 16);
		return;
	case 1:
		*off = size - (r >> 8) % (size < 5000 ? size : 5000);
		*len = (r >> 32) % 6000;
		return;
	case 2:
	case 3:
		*off = (r >> 8) % size & ~4095ULL;
		*len = 4096 * (1 + (r >> 40) % 32);
		break;
	case 4:
		*off = 0;
		*len = size;
		break;
	default:
		*off = (r >> 8) % size;
		*len = (r >> 40) % (r & 0x80 ? 300000 : 3000);
		break;
	}
	if (*off + *len > size && (r >> 4) % 8)
		*len = size - *off;
}
