"""The add-on `metrics-server`: what nodes and Pods use, for kubectl top and for autoscaling."""

from __future__ import annotations

import asyncio

from aiohttp import web

from k8slab.addons.metrics.access import tls
from k8slab.addons.metrics.api import MetricsApi
from k8slab.addons.metrics.scraper import Scraper
from k8slab.addons.metrics.store import MetricsStore
from k8slab.api_client import ApiClient
from k8slab.folders import ClusterFolder
from k8slab.network.addresses import METRICS_PORT, AddressPlan

USER = "metrics-server"


async def serve_metrics(folder: ClusterFolder) -> None:
    """Measure and answer, until cancelled.

    Args:
        folder: the cluster's folder.
    """
    settings = folder.settings()
    plan = AddressPlan(settings.octet, settings.port_offset)
    store = MetricsStore()
    async with ApiClient.from_kubeconfig(folder.kubeconfig(USER), user_agent=USER) as client:
        runner = web.AppRunner(MetricsApi(client, store).application(), access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        try:
            host, port = plan.twin_endpoint(plan.addons, METRICS_PORT)
            await web.TCPSite(runner, host, port, ssl_context=tls(folder, USER)).start()
            scraper = Scraper(client, plan, store)
            async with asyncio.TaskGroup() as group:
                group.create_task(scraper.follow_nodes())
                group.create_task(scraper.run())
        finally:
            await runner.cleanup()
